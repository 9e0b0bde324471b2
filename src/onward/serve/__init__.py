"""The server: completions, typing sessions, scores and the page over HTTP. Nothing but `cli` imports it."""
