"""`onward lsp`: a language server, which completes what is typed in an editor."""
