"""Rung `embeddings`: users, movies and words as vectors.

New here: **an embedding**. A user, a movie, a word or a character is represented by an integer, which selects
a row of a learned table. Looking up a row gives the same outputs and gradients as multiplying a one-hot
vector by the table. But a lookup reads one row instead of the whole table; `costs` measures the difference.

The vectors of users u and movies m are learned from ratings alone:

    rating(u, m) = mean + b_u + b_m + v_u . v_m

The biases b matter: the lesson's error was 1.44 without them and 0.798 with them.

Expect a mean squared error of about 0.77 on a random fifth of the ratings, in a minute.
"""

import csv
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.profiler import ProfilerActivity, profile

from onward.lesson.fit import evaluate, shuffled_batches
from onward.lesson.pictures import save_picture
from onward.lesson.rung import LessonSettings, Outcome, Rung
from onward.lesson.text import data_folder

RUNG = Rung(
    name="embeddings",
    new="users, movies and words as vectors; a lookup is a one-hot vector times a matrix",
    measure="mean squared error of ratings, on a held-out random fifth",
    lesson="0.798",
    target=0.775,
    minutes=1.5,
    text="",
)
FACTORS, EPOCHS, BATCH, RATE = 50, 20, 512, 5e-3
WEIGHT_OF_VECTORS, WEIGHT_OF_BIASES = 0.1, 0.05
"""Weights of the penalty on squared vectors and biases, which keeps users with few ratings near the mean."""

HELD_OUT = 0.2
SHOWN = 30
FOLDER = "movielens/ml-latest-small-2016-10"
RHYME = "this is the dog that worried the cat that killed the rat that ate the malt that lay in the house"


@dataclass(frozen=True)
class Ratings:
    """N ratings of movies by users.

    Attributes:
        pairs: ids of user and movie, (N, 2).
        stars: the ratings, (N,).
        titles: titles of the movies.
        users: number of users.
    """

    pairs: Tensor
    stars: Tensor
    titles: list[str]
    users: int


def read_ratings(folder: Path) -> Ratings:
    """Reads the ratings of MovieLens."""
    with (folder / "movies.csv").open(encoding="utf-8", newline="") as file:
        names = {row["movieId"]: row["title"] for row in csv.DictReader(file)}
    with (folder / "ratings.csv").open(encoding="utf-8", newline="") as file:
        rows = [(row["userId"], row["movieId"], float(row["rating"])) for row in csv.DictReader(file)]
    users = {user: i for i, user in enumerate(dict.fromkeys(user for user, _, _ in rows))}
    movies = {movie: i for i, movie in enumerate(dict.fromkeys(movie for _, movie, _ in rows))}
    pairs = torch.tensor([[users[user], movies[movie]] for user, movie, _ in rows])
    stars = torch.tensor([stars for _, _, stars in rows])
    return Ratings(pairs, stars, [names[movie] for movie in movies], len(users))


class RatingModel(nn.Module):
    """Maps pairs of user and movie (B, 2) to ratings (B,)."""

    def __init__(self, users: int, movies: int, mean: float, *, biases: bool = True) -> None:
        super().__init__()
        self.user, self.movie = nn.Embedding(users, FACTORS), nn.Embedding(movies, FACTORS)
        self.user_bias, self.movie_bias = nn.Embedding(users, 1), nn.Embedding(movies, 1)
        self.mean, self.biases = mean, biases
        for table in (self.user, self.movie):
            nn.init.normal_(table.weight, std=0.05)
        for table in (self.user_bias, self.movie_bias):
            nn.init.zeros_(table.weight)

    def rows(self, pairs: Tensor) -> tuple[Tensor, Tensor]:
        """Returns the vectors (B, 2, F) and the biases (B, 2) of pairs."""
        user, movie = pairs.unbind(1)
        vectors = torch.stack([self.user(user), self.movie(movie)], 1)
        return vectors, torch.cat([self.user_bias(user), self.movie_bias(movie)], 1)

    def forward(self, pairs: Tensor) -> Tensor:
        vectors, biases = self.rows(pairs)
        product = vectors.prod(1).sum(1)
        return self.mean + biases.sum(1) + product if self.biases else product


def squared_error(predicted: Tensor, stars: Tensor) -> Tensor:
    return nn.functional.mse_loss(predicted, stars)


def train(
    ratings: Ratings, training: Tensor, settings: LessonSettings, *, biases: bool = True
) -> RatingModel:
    """Trains on the rows `training` with Adam, a falling learning rate, and a penalty on large vectors."""
    torch.manual_seed(settings.seed)
    pairs, stars = ratings.pairs[training], ratings.stars[training]
    network = RatingModel(ratings.users, len(ratings.titles), float(stars.mean()), biases=biases)
    optimiser = torch.optim.Adam(network.parameters(), lr=RATE)
    generator = torch.Generator().manual_seed(settings.seed)
    epochs = settings.scaled(EPOCHS)
    for number in range(epochs):
        optimiser.param_groups[0]["lr"] = RATE * (1 - number / epochs)
        total = 0.0
        for x, y in shuffled_batches(pairs, stars, BATCH, generator):
            error = squared_error(network(x), y)
            vectors, offsets = network.rows(x)
            penalty = WEIGHT_OF_VECTORS * vectors.square().sum((1, 2)).mean()
            penalty = penalty + WEIGHT_OF_BIASES * offsets.square().sum(1).mean()
            optimiser.zero_grad()
            (error + penalty).backward()
            optimiser.step()
            total += float(error.detach()) * len(y)
        settings.report(f"epoch {number + 1}: training error {total / len(stars):.4f}, mean of squares")
    return network


def looked_up(ids: Tensor, table: Tensor) -> Tensor:
    """Returns rows (B, D) of a table (V, D). Only these rows have a gradient, which is sparse."""
    return nn.functional.embedding(ids, table, sparse=True)


def multiplied(ids: Tensor, table: Tensor) -> Tensor:
    """Returns the same rows as one-hot vectors (B, V) times the table."""
    one_hot = torch.zeros(len(ids), len(table)).scatter_(1, ids[:, None], 1.0)
    return one_hot @ table


def greatest_difference(symbols: int, *, batch: int = 64, width: int = 42) -> float:
    """Returns the largest difference of outputs and gradients between lookup and product."""
    table, ids = torch.randn(symbols, width, requires_grad=True), torch.randint(symbols, (batch,))
    upward = torch.randn(batch, width)
    found = []
    for way in (looked_up, multiplied):
        rows = way(ids, table)
        (gradient,) = torch.autograd.grad(rows, table, upward)
        found.append((rows.detach(), gradient.to_dense()))
    return max(float((one - other).abs().max()) for one, other in zip(*found, strict=True))


def costs(symbols: int, *, batch: int = 64, width: int = 42) -> dict[str, float]:
    """Measures lookup and one-hot product, with gradients: milliseconds, and megabytes that are allocated."""
    table, ids = torch.randn(symbols, width, requires_grad=True), torch.randint(symbols, (batch,))
    found = {}
    for name, way in (("lookup", looked_up), ("product", multiplied)):

        def once(way: Callable[[Tensor, Tensor], Tensor] = way) -> float:
            started = time.perf_counter()
            torch.autograd.grad(way(ids, table).sum(), table)
            return 1000 * (time.perf_counter() - started)

        found[f"{name}_milliseconds"] = statistics.median(once() for _ in range(5))
        with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as watched:
            once()
        given = sum(max(0, event.self_cpu_memory_usage) for event in watched.events() or ())
        found[f"{name}_megabytes"] = given / 1e6
    return found


def words_as_vectors(text: str) -> dict[str, Any]:
    """Turns the words of a text into ids, and looks up the rows of these ids in a table."""
    words = sorted(set(text.split()))
    ids = [words.index(word) for word in text.split()]
    table = nn.Embedding(len(words), 3)
    return {"words": words, "ids": ids, "shape": tuple(table(torch.tensor(ids)).shape)}


def components(network: RatingModel) -> np.ndarray:
    """Projects the vectors of the movies onto their first two principal components, (M, 2)."""
    vectors = network.movie.weight.detach().numpy()
    centred = vectors - vectors.mean(0)
    return centred @ np.linalg.svd(centred, full_matrices=False)[2][:2].T


def short(title: str) -> str:
    """Shortens a title: drops the year and alternative titles, and moves the article to the front."""
    name = title.partition(" (")[0]
    for article in ("The", "A"):
        if name.endswith(f", {article}"):
            name = f"{article} {name.removesuffix(f', {article}')}"
    return name


def draw(network: RatingModel, ratings: Ratings, folder: Path) -> Path:
    """Plots the vectors of the movies with the most ratings."""
    often = torch.bincount(ratings.pairs[:, 1]).argsort(descending=True)[:SHOWN]
    places = components(network)[often.numpy()]

    def paint(axes: Any) -> None:
        axes.scatter(places[:, 0], places[:, 1], s=14, color="#2f6f4f")
        for (x, y), movie in zip(places, often.tolist(), strict=True):
            name = short(ratings.titles[movie])
            axes.annotate(name, (x, y), (4, 3), textcoords="offset points", fontsize=8, parse_math=False)
        axes.set_xlabel("first component")
        axes.set_ylabel("second component")

    title = f"The {SHOWN} most rated movies, by their learned vectors"
    return save_picture(folder / "lesson-embeddings.png", title, paint, size=(11.0, 8.0))


def run(settings: LessonSettings) -> Outcome:
    """Trains with and without biases, and compares lookup and product."""
    ratings = read_ratings(data_folder(FOLDER, "ratings.csv", "MovieLens ml-latest-small of October 2016"))
    order = torch.randperm(len(ratings.stars), generator=torch.Generator().manual_seed(settings.seed))
    held_out, training = order.tensor_split([round(HELD_OUT * len(order))])
    networks = {biases: train(ratings, training, settings, biases=biases) for biases in (False, True)}
    x, y = ratings.pairs[held_out], ratings.stars[held_out]
    errors = {biases: evaluate(network, x, y, squared_error) for biases, network in networks.items()}
    details = {
        "error_without_biases": errors[False],
        "lookup_and_product_differ_by": greatest_difference(10_000),
        "time and memory": {f"{size} symbols": costs(size) for size in (86, 10_000, 1_000_000)},
        "a rhyme as vectors": words_as_vectors(RHYME),
    }
    return Outcome(
        figure=errors[True],
        holds=details["lookup_and_product_differ_by"] <= 1e-5,
        held_out=errors[True],
        details=details,
        pictures=(draw(networks[True], ratings, settings.pictures),) if settings.pictures else (),
    )
