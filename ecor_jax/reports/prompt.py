"""What a language model is asked: to disentangle a report into atomic descriptors, one a line.

The kind of prompt that the paper (arXiv 2411.04008, section 3.2 and figure 7) describes for Mistral-7B; the words
and the example are ours.
"""

from transformers import PreTrainedTokenizerBase

from ecor_jax.errors import UserError

NOTHING = "none"
"""The whole answer about a report that describes nothing."""

INSTRUCTIONS = f"""\
Below is the report of a chest X-ray. Disentangle it into atomic descriptors and write them one a line. A descriptor \
is a single finding or appearance with its location and attributes, in the words of the report.

Every line has the form "status: descriptor", where the status is one of
present: the report says that it is seen, or how something looks, be it normal or not
absent: the report says that it is not seen
uncertain: the report says that it may be there

After the colon write the descriptor alone, in lower case, without words like "no", "possible" or "there is". Take \
lists apart: "no effusion or pneumothorax" makes two lines. Say nothing twice. Leave out comparisons with earlier \
pictures, history, technique and recommendations. Write nothing but these lines; if the report describes nothing, \
write "{NOTHING}"."""

EXAMPLE_REPORT = (
    "The heart is mildly enlarged. No pleural effusion or pneumothorax. Streaky opacity at the left lung base may "
    "represent atelectasis. A right chest port is unchanged."
)
EXAMPLE_ANSWER = """\
present: mildly enlarged heart
absent: pleural effusion
absent: pneumothorax
present: streaky opacity at left lung base
uncertain: atelectasis
present: right chest port"""


def request(report: str) -> str:
    """The instructions, one worked example, and the report."""
    parts = (INSTRUCTIONS, f"Report: {EXAMPLE_REPORT}", f"Descriptors:\n{EXAMPLE_ANSWER}", f"Report: {report}")
    return "\n\n".join((*parts, "Descriptors:"))


def prompt_ids(tokenizer: PreTrainedTokenizerBase, report: str) -> list[int]:
    """Token ids of the request, in the tokenizer's chat template if it has one.

    Marks that structure a chat ("</s>", "[INST]") are taken out of the report: it is data, and must not end the turn.
    UserError if the template cannot be filled in.
    """
    for token in tokenizer.added_tokens_decoder.values():
        if token.special:
            report = report.replace(token.content, " ")
    message = request(" ".join(report.split()))
    if tokenizer.chat_template is None:
        return tokenizer(f"{message}\n")["input_ids"]
    try:
        chat = tokenizer.apply_chat_template(
            [{"role": "user", "content": message}],
            tokenize=False,
            add_generation_prompt=True,
            # Llama 3's template writes today's date where none is given; the prompt would change overnight.
            date_string="26 Jul 2024",
        )
    except Exception as error:  # jinja's errors, and whatever the template's code runs into
        reason = str(error).split("\n")[0]
        raise UserError(f"{tokenizer.name_or_path}: its chat template cannot be filled in ({reason})") from error
    return tokenizer(str(chat), add_special_tokens=False)["input_ids"]
