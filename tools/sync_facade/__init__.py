"""Write a synchronous facade from the source of an asynchronous package."""
