"""Decisions. Nothing here waits (but `outbox.take`) or knows a socket or a broker.

The way of a message through a node, all of it one plain call per AMQP message:

1. `broker.tap` reads what the broker delivers, and `intake` tells it apart.
2. An array of plain messages of one publisher, nearly everything where it counts, is a `series`:
   checked at once. Anything else goes through `codec` and `intake`, message by message.
3. `memory` asks `numbers` whether it is new and nothing is missing before it (else: `holes`),
4. has `history` retain it: a series in one piece in the `journal`, others as entries of `lanes`,
5. and hands it to the `hub`, which puts it into the `outbox` of each browser that listens.

`node.wire` writes what an outbox holds: all of one turn of the loop in one go.
"""
