"""Who may call: users, their sessions, OAuth apps and tokens, and the endpoints that hand them out."""
