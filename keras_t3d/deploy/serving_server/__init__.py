"""A server with TF Serving's REST and gRPC interfaces, for trying models and for small devices."""
