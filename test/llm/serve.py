"""Serves a model over llama.cpp's HTTP server until standard input ends.

    python serve.py MODEL.gguf NAME

Prints the address it listens at once the model is loaded. The model is small
and the bounds are tight, so that all of it runs in seconds."""
import sys

import xllamacpp

params = xllamacpp.CommonParams()
params.model.path, params.model_alias = sys.argv[1], {sys.argv[2]}
params.hostnames, params.port = ["127.0.0.1"], 0  # 0: any that is free
# One thread: two wait for each other by spinning, for ever on a busy machine.
params.cpuparams.n_threads = params.cpuparams_batch.n_threads = 1
params.n_ctx = 2048  # tokens, for all of the n_parallel answers together
params.n_parallel = 2
params.n_predict = 200  # tokens of an answer at most
params.cache_prompt = False  # with it, what went before could change an answer
params.sampling.temp = 0
params.sampling.seed = 1
params.endpoint_slots = True
params.ui = False
params.verbosity = 0

server = xllamacpp.Server(params)
print(server.listening_address, flush=True)
sys.stdin.read()
