"""The server: completions, typing sessions, scores and the page over HTTP. Only `cli` imports it."""
