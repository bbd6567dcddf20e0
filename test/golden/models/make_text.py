"""Dumps of Hugging Face's GPT-2 and BERT; needs torch, transformers and safetensors.

Dropout is off, so that training repeats; the rest is as in the library.
"""
import torch
import transformers

from common import make, options, randomise, record, save

transformers.utils.logging.set_verbosity_error()


def adamw(args):
    """With a rate at which the large models' losses fall: where they jump, rounding grows too."""
    lr = 1e-4 if args.full else 1e-3
    return lambda parameters: torch.optim.AdamW(parameters, lr=lr, weight_decay=0.01)


def ids(shape, vocabulary, seed):
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(0, vocabulary, shape, generator=generator)


def padding(batch, length):
    mask = torch.ones(batch, length, dtype=torch.long)
    mask[-1, length - 3 :] = 0
    return mask


def gpt2(args):
    size = {} if args.full else dict(vocab_size=80, n_positions=32, n_embd=24, n_layer=2, n_head=3)
    config = transformers.GPT2Config(resid_pdrop=0, embd_pdrop=0, attn_pdrop=0, **size)
    model = transformers.GPT2LMHeadModel(config)
    randomise(model)
    inputs = {"ids": ids((2, 16), config.vocab_size, 3), "mask": padding(2, 16)}
    # Padding has no part in the loss.
    inputs["labels"] = inputs["ids"].masked_fill(inputs["mask"] == 0, -100)

    def forward(m, x):
        out = m(input_ids=x["ids"], attention_mask=x["mask"], labels=x["labels"])
        return {"logits": out.logits}, out.loss

    model.eval()
    prompt = inputs["ids"][:1, :8]
    with torch.no_grad():
        plain = model(input_ids=inputs["ids"]).logits
        how = dict(max_new_tokens=16, do_sample=False, eos_token_id=None, pad_token_id=0)
        how["attention_mask"] = torch.ones_like(prompt)
        greedy = model.generate(prompt, **how)
        penalised = model.generate(prompt, repetition_penalty=1.3, **how)
    extra = {"output.plain": plain, "output.greedy": greedy, "output.penalised": penalised}
    save(args.out, "gpt2", record(model, inputs, forward, adamw(args), extra))


def bert_config(args, **more):
    size = (
        {}
        if args.full
        else dict(
            vocab_size=80,
            hidden_size=24,
            num_hidden_layers=2,
            num_attention_heads=3,
            intermediate_size=48,
            max_position_embeddings=32,
        )
    )
    return transformers.BertConfig(hidden_dropout_prob=0, attention_probs_dropout_prob=0, **size, **more)


def bert_inputs(config):
    return {
        "ids": ids((2, 16), config.vocab_size, 4),
        "types": ids((2, 16), config.type_vocab_size, 5),
        "mask": padding(2, 16),
    }


def bert_classify(args):
    config = bert_config(args, num_labels=3)
    model = transformers.BertForSequenceClassification(config)
    randomise(model)
    inputs = bert_inputs(config) | {"labels": torch.tensor([2, 0])}

    def forward(m, x):
        out = m(input_ids=x["ids"], token_type_ids=x["types"], attention_mask=x["mask"], labels=x["labels"])
        return {"logits": out.logits}, out.loss

    model.eval()
    with torch.no_grad():
        base = model.bert(input_ids=inputs["ids"])
    extra = {"output.hidden": base.last_hidden_state, "output.pooled": base.pooler_output}
    save(args.out, "bert_classify", record(model, inputs, forward, adamw(args), extra))


def bert_masked(args):
    config = bert_config(args)
    model = transformers.BertForMaskedLM(config)
    randomise(model)
    inputs = bert_inputs(config)
    inputs["labels"] = inputs["ids"].masked_fill(ids((2, 16), 4, 6) > 0, -100)

    def forward(m, x):
        out = m(input_ids=x["ids"], token_type_ids=x["types"], attention_mask=x["mask"], labels=x["labels"])
        return {"logits": out.logits}, out.loss

    save(args.out, "bert_masked", record(model, inputs, forward, adamw(args)))


make(options(__doc__), {"gpt2": gpt2, "bert_classify": bert_classify, "bert_masked": bert_masked})
