"""What is read from a compiled program's text: of a program written by hand, and the collectives of it counted so."""

from ecor_jax.aot.hlo import collectives, largest, summary

PROGRAM = """HloModule jit_step, is_scheduled=true

%add (a: f32[], b: f32[]) -> f32[] {
  %a = f32[]{:T(128)} parameter(0)
  %b = f32[]{:T(128)} parameter(1)
  ROOT %sum = f32[]{:T(128)} add(%a, %b)
}

%less (p: (s32[], f32[4,8])) -> pred[] {
  %four.1 = s32[]{:T(128)} constant(4)
  %i.2 = s32[]{:T(128)} get-tuple-element(%p), index=0
  ROOT %lt = pred[]{:T(512)} compare(%i.2, %four.1), direction=LT
}

%inner (p: (s32[], f32[4,8])) -> (s32[], f32[4,8]) {
  %reduced = f32[4,8]{1,0:T(4,128)} all-reduce(%x), replica_groups=[2,4]<=[8], to_apply=%add
  ROOT %t = (s32[], f32[4,8]) tuple(%i, %reduced)
}

%outer (p: (s32[], f32[4,8])) -> (s32[], f32[4,8]) {
  %loop = (s32[], f32[4,8]{1,0}) while(%p), condition=%less, body=%inner, backend_config={"known_trip_count":{"n":"3"}}
  ROOT %t = (s32[], f32[4,8]) tuple(%i, %y)
}

%async (p: bf16[4,8]) -> bf16[16,8] {
  ROOT %g = bf16[16,8]{1,0} all-gather(%p), replica_groups={{0,1,2,3},{4,5,6,7}}, dimensions={0}
}

%chained (p: (s32[], bf16[2])) -> (s32[], bf16[2]) {
  %a = bf16[2]{0} all-reduce(%x), channel_id=1, replica_groups=mesh['a'=4,'b'=2] {'a'}, m={op_name="jit(step)/mul"}
  %f = bf16[1]{0} fusion(%x), kind=kOutput, calls=%early
  %g = bf16[1]{0} fusion(%f), kind=kOutput, calls=%late
}

%early (p: bf16[1]) -> bf16[1] {
  ROOT %e = bf16[2]{0} all-gather(%p), channel_id=7, replica_groups=mesh['a'=4,'b'=2] {'a':(2)2,'b'}, a={chain_id="0"}
}

%late (p: bf16[1]) -> bf16[1] {
  ROOT %e = bf16[2]{0} all-gather(%p), channel_id=7, replica_groups=mesh['a'=4,'b'=2] {'a':(2)2,'b'}, a={chain_id="0"}
}

ENTRY %main (p: f32[4,8]) -> f32[4,8] {
  %told = (s32[], bf16[2]{0}) while(%p), condition=%less, body=%chained
  %twice = (s32[], f32[4,8]{1,0}) while(%p), condition=%less, body=%outer, backend_config={"known_trip_count":{"n":"2"}}
  %s = ((bf16[4,8]), bf16[16,8], u32[]) async-start(%q), calls=%async
  %u = ((bf16[4,8]), bf16[16,8], u32[]) async-update(%s), calls=%async
  %d = bf16[16,8] async-done(%u), calls=%async
  %start = (f32[4,8]{1,0}, f32[8,8]{1,0}) all-gather-start(%r), replica_groups={{0,1}}, dimensions={0}
  %done = f32[8,8]{1,0} all-gather-done(%start)
  ROOT %both = (f32[4,8], pred[32]) all-reduce(%v, %w), replica_groups={}, to_apply=%add
}
"""


def test_collectives_of_loops_count_as_often_as_they_run():
    found = collectives(PROGRAM)
    # A condition says how often, and what a TPU hides behind several fusions is one.
    chained = [one for one in found if one.bytes == 4]
    assert [(one.times, one.group, one.name) for one in chained] == [(4, 4, "jit(step)/mul"), (4, 4, "")]
    found = [one for one in found if one not in chained]
    assert summary(found) == {
        "all-gather": {"count": 2, "bytes": 16 * 8 * 2 + 8 * 8 * 4, "largest_bytes": 256},
        "all-reduce": {"count": 7, "bytes": 6 * 128 + 160, "largest_bytes": 160},
    }
    # Of a ring of 4 a device sends 2 * 3 / 4 of what is summed, and of one of 8 2 * 7 / 8; gathered, 3 / 4 and 1 / 2.
    assert sum(one.sent(8) for one in found if one.kind == "all-reduce") == 6 * 128 * 1.5 + 160 * 1.75
    assert sum(one.sent(8) for one in found if one.kind == "all-gather") == 256 * 0.75 + 256 * 0.5


def test_the_largest_buffers_of_a_memory_report():
    report = """Memory Space: default (color=0)
Total bytes: 37044115968 (34.50GiB)
   32.00GiB( 96%);   32.00GiB;            0;                5; 5 f32[32,16384,16384]
   32.50GiB( 97%);  512.00MiB;  34896609280;                2; pred[], bf16[16384,16384]
   33.00GiB( 99%);  512.00MiB;  34359738368;                1; bf16[16384,16384]

Memory Space: vmem (color=1)
Total bytes: 2097152 (2.00MiB)
    2.00MiB(100%);   64.00GiB;            0;                1; f32[32,16384]
"""
    total, buffers = largest(report)
    assert total == 37044115968
    assert buffers == ["1 x f32[32,16384,16384] of 32.00 GiB", "2 x bf16[16384,16384] of 512.00 MiB"]
