"""Run a finished model on real pictures, where there are some: mAP by an evaluation set, an example by any."""

import os

import protocol


def verify(args):
    contract = protocol.read_json(os.path.join(protocol.input_path("exported"), "contract.json"))
    told = {"variant": args["variant"]}
    if contract["outputs"] == "tensors":
        return told  # what they mean, only their maker knows
    if not (args.get("evaluation") or args.get("show")):
        return told
    import judge  # only now: it imports TensorFlow, which takes seconds

    return dict(told, **judge.judge(args, contract))


if __name__ == "__main__":
    protocol.main(verify)
