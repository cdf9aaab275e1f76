"""Clips that are told wrong."""

from __future__ import annotations

from videoproc.tasks.task import Answer, Mistake, Scores, Spec

UNSEEN = "(a class not seen in training)"


def answers(scores: Scores, spec: Spec) -> list[Answer]:
    """The most probable class and its probability."""
    told = scores["probabilities"].argmax(axis=1)
    confidence = scores["probabilities"].max(axis=1)
    return [
        Answer(
            true=spec["classes"][true] if true >= 0 else UNSEEN,
            told=spec["classes"][index],
            confidence=float(probability),
        )
        for true, index, probability in zip(scores["target"], told, confidence, strict=True)
    ]


def worst(scores: Scores, spec: Spec, count: int) -> list[Mistake]:
    """The wrong answers with the highest probability; of equal ones, the earlier first."""
    wrong = [
        Mistake(index=index, **vars(answer))
        for index, answer in enumerate(answers(scores, spec))
        if not answer.is_right
    ]
    return sorted(wrong, key=lambda mistake: -mistake.confidence)[:count]
