"""The registry of networks that write sentences."""

from lightning_modules.caption_options import WordDecoderOptions
from lightning_modules.decoders.attend import AttendingNetwork
from lightning_modules.decoders.s2vt import TwoLayerNetwork

WordNetwork = AttendingNetwork | TwoLayerNetwork


def build_word_network(options: WordDecoderOptions, memory_width: int) -> WordNetwork:
    """The network of `options.form`: embedded words and a memory `memory_width` wide in, states out."""
    if options.form == "s2vt":
        return TwoLayerNetwork(options, memory_width)
    return AttendingNetwork(options, memory_width)
