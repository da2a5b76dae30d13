"""Where things run: the driver, the executors, requests to models."""
