"""Word and character error rates of a recognizer's output against the transcript.

Protocol ``wer/v1`` with Whisper; without Whisper weights, pocketsphinx with the grammar of the corpus, under its own
signature. The value of a table is the corpus rate: the edits of all clips over all reference words.
"""

from __future__ import annotations

from collections.abc import Sequence

from f2v_bench.assets import AssetMissing, find_asset, require_asset
from f2v_bench.clip import Waveform
from f2v_bench.errors import ClipFailure, F2VError, FailureKind
from f2v_bench.metrics import common
from f2v_bench.metrics.asr.base import Hypothesis, Recognizer
from f2v_bench.metrics.asr.cache import HypothesisCache, transcription_key
from f2v_bench.metrics.asr.pocketsphinx import Pocketsphinx
from f2v_bench.metrics.asr.whisper import SIZES, Whisper, whisper_installed
from f2v_bench.metrics.base import Aggregate, Column, Metric, MetricOptions, MetricUnavailable, Need, Sample, Scores
from f2v_bench.metrics.text import character_edits, hallucination_signs, remove_tags, word_edits
from f2v_bench.metrics.wer_presets import PRESETS, WERPreset, wer_column
from f2v_bench.timing import SAMPLE_RATE

_NAME = "wer"
_GET_PACKAGE = "Install it: uv sync --extra whisper"
_SETTINGS = {
    "asr": ("", "pocketsphinx", *SIZES),
    "decode": ("", "greedy", "beam5"),
    "preset": ("f2v", *PRESETS),
    "cache": ("on", "off"),
}


def choose_recognizer(options: MetricOptions) -> Recognizer:
    """Return the recognizer of the settings, or the best one available.

    Without a setting: the checkpoint of the preset; else the largest Whisper checkpoint on this machine; else
    pocketsphinx where the corpus has a grammar.

    Args:
        options: device, grammar and settings.

    Raises:
        MetricUnavailable: no recognizer, or not the one of the settings, is available on this machine.
        F2VError: an unknown setting or value, or a decoding that contradicts the preset.
    """
    settings = common.parse_settings(options, _NAME, _SETTINGS)
    preset = PRESETS.get(settings["preset"])
    if preset and settings["decode"] not in ("", preset.decode):
        raise F2VError(
            f"wer's preset '{settings['preset']}' decodes with {preset.decode}, not {settings['decode']}",
            "omit decode, or choose another preset",
        )
    wanted = settings["asr"] or (preset.asr if preset else "")
    beam = (preset.decode if preset else settings["decode"]) == "beam5"
    if wanted in SIZES:
        return _whisper(wanted, options.device, beam=beam)
    if not wanted and whisper_installed():
        available = next((size for size in SIZES if find_asset(size)), None)
        if available:
            return _whisper(available, options.device, beam=beam)
    if options.grammar is not None:
        return Pocketsphinx(options.grammar)
    if wanted:
        raise MetricUnavailable(
            _NAME, "pocketsphinx needs a grammar, and this corpus has open speech", "Use Whisper: asr=whisper-large-v3"
        )
    if not whisper_installed():
        raise MetricUnavailable(_NAME, "the package openai-whisper is not installed", _GET_PACKAGE)
    raise MetricUnavailable(
        _NAME,
        "no Whisper weights are on this machine, and without a grammar of the corpus there is no other recognizer",
        f"Get them: f2v-bench assets pull {SIZES[0]} (or a smaller one: {', '.join(SIZES[1:])})",
    )


def _whisper(name: str, device: str, *, beam: bool) -> Whisper:
    if not whisper_installed():
        raise MetricUnavailable(_NAME, "the package openai-whisper is not installed", _GET_PACKAGE)
    try:
        return Whisper(name, require_asset(name), device=device, beam=beam)
    except AssetMissing as missing:
        raise MetricUnavailable(_NAME, missing.what, missing.do) from missing


class WER(Metric):
    """Word error rate and character error rate.

    Setting ``asr``: ``pocketsphinx`` or the name of a Whisper asset; the best available by default. Setting ``decode``
    (Whisper): ``greedy`` (default) or ``beam5``. Setting ``preset``: ``f2v`` (default), or normalizer, decoding and
    aggregation of another evaluation, under its own column and signature (``wer_presets``). Setting ``cache``: ``on``
    (default) stores hypotheses on disk by audio and recognizer, ``off`` does not.
    """

    name = _NAME
    needs = frozenset({Need.TEXT})
    sample_rate = SAMPLE_RATE
    columns: tuple[Column, ...] = (
        wer_column(
            "wer",
            "WER",
            Aggregate.RATIO,
            "Word errors of the recognizer over the words of the transcripts, all clips together.",
        ),
        Column(
            "cer",
            "CER",
            "%",
            higher_is_better=False,
            lower=0,
            upper=float("inf"),
            aggregate=Aggregate.RATIO,
            scale=100,
            digits=1,
            headline=False,
            definition="Character errors over the characters of the transcripts, spaces counted, all clips together.",
        ),
    )

    def __init__(self, options: MetricOptions | None = None) -> None:
        super().__init__(options)
        self.recognizer = choose_recognizer(self.options)
        settings = common.parse_settings(self.options, self.name, _SETTINGS)
        self._preset_name = settings["preset"]
        self._preset: WERPreset | None = PRESETS.get(settings["preset"])
        if self._preset:
            _require_normalizer(self._preset)
            self.columns = (self._preset.column,)
        self._cache = HypothesisCache() if settings["cache"] == "on" else None

    @property
    def signature(self) -> str:
        if self._preset is None:
            return common.signature(
                "wer:v1", self.recognizer.signature, "cer:with-spaces", packages=("jiwer",), aggregate="corpus"
            )
        return common.signature(
            f"wer:{self._preset_name}",
            transcription_key(self.recognizer),
            f"normalizer:{self._preset.normalizer}",
            packages=("jiwer",),
            aggregate="corpus" if self._preset.column.aggregate is Aggregate.RATIO else "utterance-mean",
        )

    def normalize(self, text: str) -> str:
        """Normalize a transcript or a hypothesis by the rule of the preset, or of the recognizer."""
        return self._preset.normalize(text) if self._preset else self.recognizer.normalize(text)

    def score(self, batch: Sequence[Sample]) -> list[Scores | ClipFailure]:
        references = [self._prepare(sample) for sample in batch]
        valid = [at for at, reference in enumerate(references) if isinstance(reference, str)]
        hypotheses = dict(zip(valid, self._transcribe([batch[at].audio for at in valid]), strict=True))
        return [
            self._compare(reference, hypotheses[at]) if isinstance(reference, str) else reference
            for at, reference in enumerate(references)
        ]

    def _transcribe(self, clips: Sequence[Waveform]) -> list[Hypothesis]:
        if self._cache:
            return self._cache.transcribe(self.recognizer, clips)
        return self.recognizer.transcribe([clip.samples for clip in clips])

    def _prepare(self, sample: Sample) -> str | ClipFailure:
        """Return the normalized transcript, or the failure of a clip that is not transcribed."""
        reference = self.normalize(remove_tags(sample.text or ""))
        if not reference:
            return ClipFailure(FailureKind.TEXT_MISSING, f"clip '{sample.clip_id}' has no words: {sample.text!r}")
        longest = self.recognizer.max_duration_s
        if longest is not None and sample.audio.duration_s > longest:
            return ClipFailure(
                FailureKind.TOO_LONG,
                f"{sample.audio.duration_s:.1f} s: {self.recognizer.name} takes at most {longest:g} s",
            )
        try:
            common.require_sound(sample.audio.samples, "audio")
        except ClipFailure as failure:  # recognizers hallucinate words in silence
            return failure.with_traceback(None)
        return reference

    def _compare(self, reference: str, transcribed: Hypothesis) -> Scores:
        hypothesis = self.normalize(transcribed.text)
        words, characters = word_edits(reference, hypothesis), character_edits(reference, hypothesis)
        confidence = {
            "avg_logprob": transcribed.avg_logprob,
            "no_speech_prob": transcribed.no_speech_prob,
            "compression_ratio": transcribed.compression_ratio,
        }
        signs = hallucination_signs(reference, hypothesis, **confidence)
        detail: dict[str, str | float | int | bool] = {
            "recognizer": self.recognizer.name,
            "hypothesis": transcribed.text,
            "hypothesis_normalized": hypothesis,
            "reference_normalized": reference,
            "substitutions": words.substitutions,
            "deletions": words.deletions,
            "insertions": words.insertions,
            "hits": words.hits,
            "hallucination": bool(signs),
            "hallucination_signs": " ".join(signs),
        }
        values = {"wer": words.rate, "cer": characters.rate}
        weights = {"wer": float(words.reference_length), "cer": float(characters.reference_length)}
        if self._preset:
            name = self._preset.column.name
            values, weights = {name: values["wer"]}, {name: weights["wer"]}
        return Scores(
            values, weights, detail=detail | {name: value for name, value in confidence.items() if value is not None}
        )


def _require_normalizer(preset: WERPreset) -> None:
    """Raise MetricUnavailable where the normalizer of the preset needs a package that is not installed."""
    if preset.normalizer == "whisper-english" and not whisper_installed():
        raise MetricUnavailable(
            _NAME, "Whisper's normalizer is in openai-whisper, which is not installed", _GET_PACKAGE
        )
