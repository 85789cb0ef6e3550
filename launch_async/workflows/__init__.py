"""What people want done: files become deployments, deployments are waited for, and many are done at once."""
