package console

import (
	"bytes"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/heapwright/heapwright/heap"
)

// A real log names its tasks and states the totals of its pool.
func TestDevice(t *testing.T) {
	r, snaps, err := readFrom(t, bytes.NewReader(testdata(t, "leak-series.log")))
	if err != nil {
		t.Fatal(err)
	}
	want := heap.Stats{
		Size: 0xfa9740, Used: 0x5bcf0, Free: 0xf4d764, LargestFree: 0xf4c104, UsedNodes: 0x84, FreeNodes: 0x1c, Waterline: 0x5e630,
	}
	if d := cmp.Diff(want, snaps[0].Stats); d != "" {
		t.Error("totals of listing 1:", d)
	}
	if got := snaps[0].OwnerName(0xb); got != "sensor_task" {
		t.Errorf("task 11 is %q", got)
	}
	tasks := r.Tasks()
	if len(tasks) != 15 || tasks[0] != (Task{0, "SerialShellTask", 8048}) || tasks[14].Name != "cache_task" {
		t.Errorf("tasks %v", tasks)
	}
}

const (
	infoHead = "pool addr          pool size    used size     free size    max free node size   used node num     free node num      UsageWaterLine\r\n" +
		"---------------    --------     -------       --------     --------------       -------------      ------------      ------------\r\n"
	info0 = "0x50000            0x100000     0x1000        0xff000      0xf0000              0x10               0x2                0x2000\r\n"
	info1 = "0x150000           0x10000      0x200         0xfe00       0xfe00               0x3                0x1                0x300\r\n"
	free  = "Huawei LiteOS # free\r\n\r\n        total        used          free\r\nMem:    1048576      8192          1040384   \r\nMem1:   65536        1024          64512\r\n\r\n" +
		"        text         data          rodata        bss\r\nMem:    168596       636           18432         40264     \r\n\r\n"
)

func TestTotals(t *testing.T) {
	two := header + row1 + "\r\n exc interaction memory\r\n" + header + "0x00157bac:  0x00011ea0  0x00021744  0x000113dc \r\n" + end
	byInfo := []heap.Stats{
		{Size: 0x100000, Used: 0x1000, Free: 0xff000, LargestFree: 0xf0000, UsedNodes: 0x10, FreeNodes: 2, Waterline: 0x2000},
		{Size: 0x10000, Used: 0x200, Free: 0xfe00, LargestFree: 0xfe00, UsedNodes: 3, FreeNodes: 1, Waterline: 0x300},
	}
	byFree := []heap.Stats{{Size: 1 << 20, Used: 8192, Free: 1040384}, {Size: 1 << 16, Used: 1024, Free: 64512}}
	infos := "pool0 :\r\n" + infoHead + info0 + "pool1 :\r\n" + infoHead + info1
	for _, c := range []struct {
		name, before string
		want         []heap.Stats
	}{
		{"none", "", make([]heap.Stats, 2)},
		{"pool information", infos, byInfo},
		{"pool information with a prefix", "[INFO] " + strings.ReplaceAll(infos, "\n", "\n[INFO] ") + "\n", byInfo},
		{"pool information with a line between", strings.ReplaceAll(infos, "0x50000 ", "wdt: fed\r\n0x50000 "), byInfo},
		{"free", free, byFree},
		{"free is later", infos + free, byFree},
		{"pool information is later", free + infos, byInfo},
		{"a restart between", infos + "********Hello Huawei LiteOS********\r\n", make([]heap.Stats, 2)},
		{
			"free -k",
			"Huawei LiteOS # free -k\r\n\r\n        total        used          free\r\nMem:    1024     8      1016   \r\n",
			[]heap.Stats{{Size: 1 << 20, Used: 8192, Free: 1016 << 10}, {}},
		},
		{"free without the command: the unit is unknown", strings.TrimPrefix(free, "Huawei LiteOS # free\r\n"), make([]heap.Stats, 2)},
		{"damaged", strings.ReplaceAll(infos, "0x1", "0y1"), make([]heap.Stats, 2)},
		{"without a waterline", "pool addr pool size used size free size max free node size used node num free node num\n--- ---\n0x50000 0x100000 0x1000 0xff000 0xf0000 0x10 0x2\n", []heap.Stats{
			{Size: 0x100000, Used: 0x1000, Free: 0xff000, LargestFree: 0xf0000, UsedNodes: 0x10, FreeNodes: 2}, {},
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, snaps, err := read(t, c.before+two)
			if err != nil || len(snaps) != 2 {
				t.Fatal(len(snaps), err)
			}
			if d := cmp.Diff(c.want, []heap.Stats{snaps[0].Stats, snaps[1].Stats}); d != "" {
				t.Error(d)
			}
		})
	}
}

func TestTasks(t *testing.T) {
	const head = "Name          TaskEntryAddr    TID   Priority  Status     StackSize  MEMUSE\r\n----          ------------     ---   -------   --------   ---------  -------\r\n"
	const row1 = "Swt_Task      0x40002770       0x0   0         QueuePend  0x6000     0\r\n"
	const row2 = "my own task   0x40002dc8       0x1f  31        Ready      0x400      480\r\n"
	both := []Task{{0, "Swt_Task", 0}, {0x1f, "my own task", 480}}
	for _, c := range []struct {
		name, log string
		want      []Task
	}{
		{"table", head + row1 + row2, both},
		{"other output between", head + row1 + "wdt: fed\r\n" + row2, both},
		{"prefix", "[   12.345] [I] " + strings.ReplaceAll(head+row1+row2, "\n", "\n[   12.346] [I] "), both},
		{"later table", head + row1 + row2 + "\r\n" + head + strings.Replace(row2, "480", "500", 1), []Task{both[0], {0x1f, "my own task", 500}}},
		{"renamed", head + row1 + row2 + "\r\n" + head + strings.Replace(row2, "my own task", "other", 1), []Task{both[0], {0x1f, "other", 480}}},
		{"after a restart", head + row1 + row2 + "Hello Huawei LiteOS\r\n" + head + row2, both[1:]},
		{"behind the table", head + row1 + "\r\n" + row2, both[:1]},
		{"cut row", head + row1 + row2[:40], both[:1]},
		{"no memory", "Name TID Status\r\nfoo 0x3 Ready\r\n", []Task{{3, "foo", 0}}},
		{"no table", "Name of TID\r\n" + row1, []Task{}},
	} {
		t.Run(c.name, func(t *testing.T) {
			r, _, _ := read(t, c.log)
			if d := cmp.Diff(c.want, r.Tasks()); d != "" {
				t.Error(d)
			}
		})
	}
}

// A shell can have another prompt than LiteOS's own.
func TestPrompts(t *testing.T) {
	for _, prompt := range []string{"Huawei LiteOS # ", "gateway-7 # ", "root@cam:/ # ", "[2026-11-22 10:00:00] cam # "} {
		log := prompt + "memused\r\n" + header + row1 + row2 + prompt + "help\r\nhelp memused\r\n" + row3
		_, snaps, err := read(t, log)
		if err != nil || len(snaps) != 1 {
			t.Fatal(prompt, len(snaps), err)
		}
		if s := snaps[0]; s.Partial != "" || len(s.Nodes) != 2 {
			t.Errorf("prompt %q: %s", prompt, render(s))
		}
	}
}

func TestMarks(t *testing.T) {
	log := "test A begins\n" + header + row1 + "test B begins\n" + row2 + end + "\ntest A begins\ntest A begins\n" + header + row1 +
		"\r\n exc interaction memory\r\n" + header + row2 + end + "\n" + header + row3 + end
	r := NewReader(strings.NewReader(log), "x.log")
	r.Marks = []string{"test A", "test B", "test C"}
	var got [][]string
	for s, err := range r.Snapshots() {
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, s.Marks)
	}
	want := [][]string{{"test A"}, {"test B", "test A"}, {"test B", "test A"}, nil}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}

func TestTextSet(t *testing.T) {
	s := new(textSet)
	texts := []string{"LR[0]", "LR[1]", "total  ", "aa", "aaa", "~!"}
	for i, text := range texts {
		s.add(text, 1<<i)
	}
	for _, line := range []string{"", "L", "node LR[0] LR[1]", "LR[0", "aaaa", "total x total  ", "~!", "x~", "xLR[1]total  aa~!"} {
		var want uint64
		for i, text := range texts {
			if strings.Contains(line, text) {
				want |= 1 << i
			}
		}
		if got := s.find([]byte(line)); got != want {
			t.Errorf("%q: %b, want %b", line, got, want)
		}
	}
}

func BenchmarkTextSet(b *testing.B) {
	lines := bytes.Split(testdata(b, "leak-series.log")[:16000], []byte("\n"))
	b.SetBytes(16000)
	for b.Loop() {
		for _, l := range lines {
			lineTexts.find(l)
		}
	}
}
