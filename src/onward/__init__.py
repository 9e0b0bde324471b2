"""Learn what comes next in any sequence of symbols, then write it, complete it, or watch it."""
