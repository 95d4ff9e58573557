"""What runs while cameras run: the endpoints, on Ray Serve. Started by its import path, `serve.app:build`."""
