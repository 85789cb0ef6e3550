"""What happens to requests before an operation answers them: the budget counts them, and they take their time."""
