"""Where the files of the benchmarks come from, and the versions of them that we measured with.

A file's name is its path in the data folder. Hashes are SHA-256 of the content with line feeds as line ends.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

_GORILLA = "ShishirPatil/gorilla"
_GORILLA_COMMIT = "6ea57973c7a6097fd7c5915698c54c17c5b1b6c8"
_GORILLA_FOLDER = "berkeley-function-call-leaderboard/bfcl_eval/data"
_PAPER = "SqueezeAILab/LLMCompiler"
_PAPER_COMMIT = "dca77b2197f89a20e505545a1458ae4a2ff04571"

_PAPER_FILES = {
    "parallelqa_dataset.json": "a0dbed4051e678eb3898c830343db93a503c0e94509e3924f58b2498d7021cd4",
    "movie_recommendations_formatted.json": "0ab8c79461cdcf48e4b9088deb634ed1b0c8a9739ac0290b56ffa423023fbe4e",
    "hotpotqa_comparison.json": "b8c1b0c756dcf8fcb76ea18d6779ebf5140764e8fe851c3d49397eb0bef24dfb",
}
_GAME24 = "b9f12b3e36d987a3c714c4cef17d89a137d7c59da26532fcfb93b4821d8111b5"
_BFCL_FILES = {
    "BFCL_v4_multi_turn_base.json": "1a21a995d06fd6f20ba55de7bced30ef953ec35e998f502ec2ecf4d66ef1c43a",
    "BFCL_v4_multiple.json": "aef168155ebd74b7ac2401198b201343bc7d16d7a3d7e0d4e6d8ee82c6969b2a",
    "BFCL_v4_parallel.json": "19f51a82eff42e5d62541aa500115a056eb78f437c2ba1f10415fd7c8e5dda84",
    "BFCL_v4_parallel_multiple.json": "8863ea8433239f55c5f016154cf0830853c89f693c6ea270396a2fa121960579",
    "BFCL_v4_simple_python.json": "82dd63ba502eb2520c6b5d1d9a5c4b590e03ff261565175561f6228a367d1991",
    "multi_turn_func_doc/gorilla_file_system.json": "c4c1b741c71e2a17c97a5dc9c4a91d89978c4eaece56494d14272d5df6c650e9",
    "multi_turn_func_doc/math_api.json": "83fa31708c89442bdcf12ac4dfbe3be8663ec9183a1b1524a9fda98164bc7e0b",
    "multi_turn_func_doc/memory_kv.json": "96480cd9cbd3d4a34cd8f78879bc6622731768a26e080f7a34782e36e3402287",
    "multi_turn_func_doc/memory_rec_sum.json": "4ceff946df00983c7f0b95d1b70ae402247f3312fb898bac9ecfa1de52f5a783",
    "multi_turn_func_doc/memory_vector.json": "917908ca99fdd01e203274b7ec6eb2347fa91d57f3c6341e20945cc9c9d746cf",
    "multi_turn_func_doc/message_api.json": "4d58ea933a5d2b280d7a52366617fb47fecd333d7b0e08e724db6fa12fb5f847",
    "multi_turn_func_doc/posting_api.json": "87f9fc404a06e4107d7c366f1399c596440e84c16cb119faf374b2f532d86e8b",
    "multi_turn_func_doc/ticket_api.json": "31324e0380782664fe82ba05bd23517808ad55692b45a5fe7c3d4d395fe4f0f8",
    "multi_turn_func_doc/trading_bot.json": "1a7933fd8f0cb8fbec38aeae05cb8c24132747cad4904fe1c13ac3d01fc22c2d",
    "multi_turn_func_doc/travel_booking.json": "f17b950c13adddf41d0848077df58788252e4c2e7cad5cfa71c8c4bf04f57b26",
    "multi_turn_func_doc/vehicle_control.json": "0c8a66292844874ef7b168f343bc394d8615d2d9e1f4387999a9ee23011eac78",
    "multi_turn_func_doc/web_search.json": "61fcee411e35f7ff67415e18cd67276615cf06e1c8841a683d2d997dbb46eac5",
    "possible_answer/BFCL_v4_multi_turn_base.json": "1fee67823b317571649177dd89d63969feaae4e810cc7448ee55ba797fb7c8fc",
    "possible_answer/BFCL_v4_multiple.json": "244e00ce9395df948bcafc7bee64e8f9c87ef70887587d83cae45b13699f3047",
    "possible_answer/BFCL_v4_parallel.json": "8a6aa19c1adddc6a5a2f7e40f9dbf30cc7e95815e7b830c90589ab318229e0f0",
    "possible_answer/BFCL_v4_parallel_multiple.json": "5ebf24f458c1f16300c05505d83d6f0a1b68b79be273a033febd0d4f840507e3",
    "possible_answer/BFCL_v4_simple_python.json": "90cd5bc653690ee8e459b5b3f3fc9458606f7f3fcbf795bb51b7dc581f8c86dc",
}


@dataclass(frozen=True, slots=True)
class Source:
    """The public home of one file: `path` in `repository` at `revision`. `sha256` is of the version that we know."""

    name: str
    repository: str
    revision: str
    path: str
    sha256: str

    @property
    def home(self) -> str:
        """Return where the file is to be had, in words."""
        return f"{self.path} of the public repository {self.repository}"


def _sources() -> Iterator[Source]:
    for name, sha256 in _PAPER_FILES.items():
        yield Source(name, _PAPER, _PAPER_COMMIT, f"datasets/{name}", sha256)
    yield Source("game24.csv", "princeton-nlp/tree-of-thought-llm", "master", "src/tot/data/24/24.csv", _GAME24)
    for name, sha256 in _BFCL_FILES.items():
        yield Source(f"bfcl/{name}", _GORILLA, _GORILLA_COMMIT, f"{_GORILLA_FOLDER}/{name}", sha256)


SOURCES: Mapping[str, Source] = {source.name: source for source in _sources()}
