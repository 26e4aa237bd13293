package layout

import (
	"strings"
	"testing"
)

// TestOffsets compares the offsets with those measured on devices.
func TestOffsets(t *testing.T) {
	leak := LiteOS{LeakCheck: true, LRs: 3}
	backup := LiteOS{HeadBackup: true}
	both := LiteOS{LeakCheck: true, LRs: 3, HeadBackup: true}
	wide := func(l LiteOS) LiteOS { l.Bits64 = true; return l }
	for _, d := range []struct {
		l                              LiteOS
		task, prev, gap, sum, lr, size int
		ctl, head                      int
	}{
		{LiteOS{}, 4, 8, -1, -1, -1, 12, 16, 16},
		{leak, 4, 8, -1, -1, 12, 24, 28, 28},
		{backup, 4, 8, 12, 16, -1, 20, 24, 48},
		{both, 4, 8, 12, 16, 20, 32, 36, 72},
		{wide(LiteOS{}), 4, 16, -1, -1, -1, 28, 32, 32},
		{wide(leak), 4, 16, -1, -1, 24, 52, 56, 56},
		{wide(backup), 4, 16, 24, 32, -1, 44, 48, 96},
		{wide(both), 4, 16, 24, 32, 40, 68, 72, 144},
	} {
		o := d.l.Offsets()
		if o.First != 0 || o.Second != o.Word || o.Task != d.task || o.Prev != d.prev || o.Gap != d.gap || o.Sum != d.sum || o.LR != d.lr || o.Size != d.size || o.Ctl != d.ctl || o.Head != d.head || o.Orig != -1 {
			t.Errorf("%s: %+v", d.l, o)
		}
	}
	pool := LiteOS{TaskStat: true, Tasks: 64, MulPool: true}
	if o := pool.Offsets(); o.PoolSize != 4 || o.Used != 8 || o.Peak != 12 || o.TaskUsed != 16 || o.NextPool != 536 || o.Lists != 0x21c || o.FirstNode != 0x21c+26*8 {
		t.Errorf("32-bit pool head: %+v", o)
	}
	if o := wide(pool).Offsets(); o.PoolSize != 8 || o.Used != 12 || o.NextPool != 544 || o.Lists != 0x228 || o.FirstNode != 0x228+26*16 {
		t.Errorf("64-bit pool head: %+v", o)
	}
}

// TestEveryOffset checks the rules of the C compiler on all configurations:
// fields are aligned, do not overlap, and the size is last.
func TestEveryOffset(t *testing.T) {
	for _, base := range []LiteOS{{}, {Bits64: true}} {
		for _, l := range nodeLayouts(base) {
			if err := l.Validate(); err != nil {
				t.Fatal(err)
			}
			o := l.Offsets()
			end := 0
			for _, f := range [][2]int{{o.First, o.Word}, {o.Second, o.Word}, {o.Prev, o.Word}, {o.Gap, 4}, {o.Sum, o.Word}, {o.Orig, 4}, {o.LR, o.Word}, {o.Size, 4}} {
				if f[0] < 0 {
					continue
				}
				if f[0]%f[1] != 0 || f[0] < end {
					t.Errorf("%s: field of %d bytes at %d, the one in front ends at %d", l, f[1], f[0], end)
				}
				if end = f[0] + f[1]; f[0] == o.LR {
					end = f[0] + f[1]*o.LRs
				}
			}
			if end != o.Ctl || o.Ctl%o.Word != 0 {
				t.Errorf("%s: the size ends at %d, the header at %d", l, end, o.Ctl)
			}
		}
	}
}

func TestValidate(t *testing.T) {
	for _, l := range []LiteOS{{LeakCheck: true}, {LRs: 1}, {LeakCheck: true, LRs: 9}, {TaskStat: true}, {Tasks: 3}, {TaskStat: true, Tasks: MaxTasks + 1}} {
		if l.Validate() == nil {
			t.Errorf("%+v is accepted", l)
		}
	}
	if s := both.String(); !strings.Contains(s, "LOS_RECORD_LR_CNT=3") || !strings.Contains(s, "LOSCFG_MEM_HEAD_BACKUP") {
		t.Error(s)
	}
}
