from ecor_jax.reports.statements import Statement, phrase


def test_phrase():
    said = [phrase(Statement("pleural effusion", status, "pleura")) for status in ("present", "absent", "uncertain")]
    assert said == ["pleural effusion", "no pleural effusion", "possible pleural effusion"]
