"""The questions that RESULTS.md answers, in sections: how to make the rows of a table from runs."""

from questions import hostile, inference, serving, training, watching

SECTIONS = {
    "Training": training.QUESTIONS,
    "Writing, scoring, completing": inference.QUESTIONS,
    "Watching": watching.QUESTIONS,
    "Serving": serving.QUESTIONS,
    "Hostile input": hostile.QUESTIONS,
}
