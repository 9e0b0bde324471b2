"""Exports a model as one HTML page, which runs it in the browser, without a server."""
