"""The differential test: what published servers say through the gateway, beside what they say directly.

A scripted client says the same to each server several times: to the server itself over stdio, and to it through the
gateway. A server that speaks its client's version needs no bridge, so that nothing may differ, down to the byte: order
of keys, form of numbers, escapes. What differs between two direct runs as well, such as a time, is no difference.
"""
