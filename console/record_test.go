package console

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/heapwright/heapwright/heap"
)

// Whatever a program does, the live set is right after every event, in both
// versions of the recorder.
func TestRecordModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		dev := newRecorder(rapid.Bool().Draw(t, "shifted"))
		dev.tick = rapid.SampledFrom([]uint64{0, 1 << 20, recordTick - 40}).Draw(t, "first tick")
		type moment struct {
			tick  uint64
			nodes []heap.Node
		}
		var want []moment
		rng := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 1))
		steps := rapid.IntRange(80, 300).Draw(t, "steps")
		dev.churn(rng, steps, func() { want = append(want, moment{dev.tick, dev.nodes()}) })

		r := NewReader(&dev.Buffer, "x.log")
		r.EveryTicks = 1
		var got []moment
		for s, err := range r.Snapshots() {
			if err != nil {
				t.Fatal(err)
			}
			if s.Partial != "" {
				t.Fatalf("%s is partial: %s", s.Label, s.Partial)
			}
			got = append(got, moment{s.Tick, s.Nodes})
		}
		if len(got) != len(want) {
			t.Fatalf("%d snapshots of %d moments; notes %v", len(got), len(want), r.Notes())
		}
		for i := range want {
			same := slices.EqualFunc(want[i].nodes, got[i].nodes, func(a, b heap.Node) bool {
				return a.Stack.Equal(b.Stack) && a.Addr == b.Addr && a.Payload == b.Payload && a.Size == b.Size &&
					a.Owner == b.Owner && a.Birth == b.Birth && a.Serial == b.Serial
			})
			if !same || want[i].tick != got[i].tick {
				t.Fatalf("moment %d of %d, tick %d and %d:\n%s", i, len(want), want[i].tick, got[i].tick, cmp.Diff(want[i].nodes, got[i].nodes))
			}
		}
		if notes := r.Notes(); len(notes) > 0 {
			t.Fatal(notes)
		}
	})
}

// Snapshots come often enough to rank by, and seldom enough to be cheap.
func TestRecordSnapshots(t *testing.T) {
	dev := newRecorder(false)
	dev.WriteString("Huawei LiteOS # memshowenable\n")
	rng := rand.New(rand.NewPCG(1, 1))
	dev.churn(rng, 5000, func() {})
	dev.WriteString("Huawei LiteOS # memshowdisable\n")
	r, snaps, err := read(t, dev.String())
	if err != nil || len(r.Notes()) > 0 {
		t.Fatal(err, r.Notes())
	}
	nodes := 0
	for _, s := range snaps {
		nodes += len(s.Nodes)
	}
	if len(snaps) < 8 || nodes > 5000+len(dev.live) {
		t.Errorf("%d snapshots of %d nodes in all", len(snaps), nodes)
	}
	for i, s := range snaps {
		if s.Label != fmt.Sprintf("record %d", i+1) || s.Partial != "" || s.Boot != 0 {
			t.Errorf("%s: %s", s.Label, s.Partial)
		}
	}
	last := snaps[len(snaps)-1]
	if d := cmp.Diff(dev.nodes(), last.Nodes); d != "" || last.Tick != dev.tick {
		t.Errorf("last, tick %d: %s", last.Tick, d)
	}
}

// script prints a recording of some events that the cases share.
func script(shifted bool) *recorder {
	dev := newRecorder(shifted)
	chain := func(i int) heap.Stack { return heap.Stack{0x11ea0 + heap.Addr(i)*4, 0x21744, 0x113dc} }
	for i := range 31 {
		dev.tick = uint64(100 + i)
		dev.task = 3
		dev.alloc(uint64(0x60000+64*i), uint64(40+i), chain(i))
		if i%3 == 2 {
			dev.free(uint64(0x60000+64*i-64), chain(100))
		}
	}
	return dev
}

func TestRecordTolerance(t *testing.T) {
	clean := script(false).String()
	lines := strings.SplitAfter(strings.TrimSuffix(clean, "\n"), "\n")
	events := func(n int) int { // the index of the nth event
		for i, l := range lines {
			if strings.HasPrefix(l, "~!") {
				if n--; n < 0 {
					return i
				}
			}
		}
		return -1
	}
	change := func(i int, to string) string {
		changed := slices.Clone(lines)
		changed[i] = to
		return strings.Join(changed, "")
	}
	event := events(4)
	addr := slices.IndexFunc(lines, func(l string) bool { return strings.HasPrefix(l, "~^00a") })
	whole := script(false).nodes()
	for _, c := range []struct {
		name, log, partial string
		notes              string
		lost               int // nodes
	}{
		{name: "clean", log: clean},
		{name: "CRLF", log: strings.ReplaceAll(clean, "\n", "\r\n")},
		{name: "prefixes", log: "[2026-11-22 10:00:00] " + strings.ReplaceAll(clean, "\n", "\n[2026-11-22 10:00:00] ")},
		{name: "escapes", log: strings.ReplaceAll(clean, "\n", "\x1b[0m\n")},
		{name: "no line ends", log: strings.ReplaceAll(clean, "\n", "")},
		{name: "other lines between", log: strings.ReplaceAll(clean, "\n", "\nwdt: ~! fed * 2 ~^\n")},
		{name: "wrapped", log: strings.Join(chunks(strings.ReplaceAll(clean, "\n", ""), 17), "\n")},
		{name: "other line in the middle", log: change(event, lines[event][:9]+"\nwdt: fed\n"+lines[event][9:])},
		{
			name: "event lost", log: change(event, ""), lost: 1,
			partial: "1 event of the record missing so far", notes: "x.log: event stream: 1 event missing",
		},
		{
			name: "digit of an event lost", log: change(event, lines[event][:7]+lines[event][8:]), lost: 1,
			partial: "1 event of the record missing so far", notes: "x.log: event stream: 1 event missing",
		},
		{
			name: "address lost", log: change(addr, ""), lost: 1,
			partial: "1 node left out: the log lacks their addresses", notes: "x.log: event stream: 1 line of the address table missing",
		},
		{
			name: "overrun", log: change(event, lines[event]+"Rec:error:the printf speed is low,Rnd\n"),
			partial: "the device could not print all events in time",
			notes:   "x.log: event stream: 1 time the device could not print all events in time",
		},
		{name: "cut in an event", log: clean[:len(clean)-8], lost: 1, partial: "cut in the middle of an event or a table entry"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r, snaps, err := read(t, c.log)
			if err != nil || len(snaps) != 1 {
				t.Fatal(len(snaps), err)
			}
			s := snaps[0]
			if s.Partial != c.partial || strings.Join(r.Notes(), "\n") != c.notes {
				t.Errorf("partial %q, notes %q", s.Partial, r.Notes())
			}
			missing := len(whole)
			for _, n := range s.Nodes {
				i := slices.IndexFunc(whole, func(w heap.Node) bool { return w.Addr == n.Addr })
				if i < 0 || whole[i].Size != n.Size || !whole[i].Stack.Equal(n.Stack) || whole[i].Birth != n.Birth {
					t.Errorf("node %+v", n)
				}
				missing--
			}
			if missing != c.lost {
				t.Errorf("%d nodes missing", missing)
			}
			_, slow, _ := readFrom(t, iotest.OneByteReader(strings.NewReader(c.log)))
			if d := cmp.Diff(renderAll(snaps), renderAll(slow)); d != "" {
				t.Error("byte by byte:", d)
			}
		})
	}
}

func chunks(s string, n int) []string {
	var parts []string
	for len(s) > n {
		parts, s = append(parts, s[:n]), s[n:]
	}
	return append(parts, s)
}

func TestRecordRestart(t *testing.T) {
	for _, c := range []struct{ name, boot string }{
		{"boot text", "********Hello Huawei LiteOS********\n"},
		{"silent", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			dev := script(true)
			before := dev.nodes()
			dev.WriteString(c.boot)
			dev.boot()
			dev.alloc(0x70000, 24, heap.Stack{0x11ea0, 0x21744, 0x113dc})
			_, snaps, err := read(t, dev.String())
			if err != nil || len(snaps) != 2 {
				t.Fatal(len(snaps), err)
			}
			if len(snaps[0].Nodes) != len(before) || snaps[0].Boot != 0 || snaps[0].Partial != "" {
				t.Errorf("before: boot %d, %s", snaps[0].Boot, render(snaps[0]))
			}
			if len(snaps[1].Nodes) != 1 || snaps[1].Boot != 1 || snaps[1].Partial != "" {
				t.Errorf("after: boot %d, %s", snaps[1].Boot, render(snaps[1]))
			}
		})
	}
}

// Nodes freed while nobody recorded are still in the live set, which says so.
func TestRecordSwitchedOff(t *testing.T) {
	dev := script(false)
	dev.WriteString("Huawei LiteOS # memshowdisable\nHuawei LiteOS # memshowenable\n")
	dev.alloc(0x70000, 24, heap.Stack{0x11ea0, 0x21744, 0x113dc})
	_, snaps, err := read(t, dev.String())
	if err != nil || len(snaps) != 2 {
		t.Fatal(len(snaps), err)
	}
	if want := "21 nodes from before recording was switched off may have been freed meanwhile"; snaps[1].Partial != want || snaps[0].Partial != "" {
		t.Errorf("partial %q and %q", snaps[0].Partial, snaps[1].Partial)
	}
}

func TestRecordMarks(t *testing.T) {
	dev := script(false)
	dev.WriteString("test begins\n")
	begin := dev.nodes()
	dev.tick++
	dev.alloc(0x70000, 24, heap.Stack{0x11ea0, 0x21744, 0x113dc})
	r := NewReader(&dev.Buffer, "x.log")
	r.Marks = []string{"test begins"}
	var snaps []*heap.Snapshot
	for s, err := range r.Snapshots() {
		if err != nil {
			t.Fatal(err)
		}
		snaps = append(snaps, s)
	}
	if len(snaps) != 2 || !slices.Equal(snaps[0].Marks, r.Marks) || snaps[1].Marks != nil {
		t.Fatal(renderAll(snaps))
	}
	if d := cmp.Diff(begin, snaps[0].Nodes); d != "" {
		t.Error(d)
	}
}

func TestRecordFailures(t *testing.T) {
	dev := newRecorder(false)
	site := heap.Stack{0x11ea0, 0x21744, 0x113dc}
	dev.alloc(0x60000, 24, site)
	dev.event(freeAction, 0x50000, 24, site) // allocated before
	dev.event(allocAction, 0, 1<<20, site)   // failed
	delete(dev.live, 0)
	dev.event(allocAction, 0x60000, 48, site) // resized in place
	r, snaps, err := read(t, dev.String())
	if err != nil || len(snaps) != 1 || len(snaps[0].Nodes) != 1 || snaps[0].Nodes[0].Size != 48 {
		t.Fatal(renderAll(snaps), err)
	}
	want := []string{
		"x.log: event stream: 1 free of nodes whose allocation was not recorded",
		"x.log: event stream: 1 event contradicting the live set: nodes resized in place, or lost events",
		"x.log: event stream: 1 allocation failed",
	}
	if d := cmp.Diff(want, r.Notes()); d != "" {
		t.Error(d)
	}
}

// What the device refuses to free is a finding.
func TestRecordInvalidFree(t *testing.T) {
	alloc, free, bad := heap.Stack{0x11ea0, 0x21744, 0x113dc}, heap.Stack{0x11eb0, 0x21744, 0x113dc}, heap.Stack{0x11ec0, 0x21744, 0x113dc}
	for _, c := range []struct {
		pointer, node, expected heap.Addr
		kind                    heap.Kind
		first                   heap.Stack
	}{
		{0x60000, 0, 0, heap.DoubleFree, free},
		{0x60048, 0x60040, 0x60040, heap.InsideNode, nil},
		{0x60040, 0x60040, 0, heap.HeaderDamaged, nil},
		{0x99990, 0, 0, heap.InsideFree, nil},
		{0, 0, 0, heap.NilPointer, nil},
	} {
		for _, shifted := range []bool{false, true} {
			dev := newRecorder(shifted)
			dev.WriteString("Name TID Status\nnet_task 0x5 Ready\n\n")
			dev.task = 5
			dev.alloc(0x60000, 24, alloc)
			dev.alloc(0x60040, 24, alloc)
			dev.free(0x60000, free)
			dev.event(invalidAction, uint64(c.pointer), 0, bad)
			dev.alloc(0x60080, 24, alloc)
			dev.free(0x60080, free)
			dev.alloc(0x60080, 24, alloc)
			var found []*heap.Finding
			for f, err := range NewReader(&dev.Buffer, "x.log").Findings() {
				if err != nil {
					t.Fatal(err)
				}
				found = append(found, f)
			}
			if len(found) != 1 {
				t.Fatalf("%v: %d findings", c.kind, len(found))
			}
			f := found[0]
			if f.Kind != c.kind || f.Pointer != c.pointer || f.Node != c.node || f.Expected != c.expected || f.Task != "net_task" ||
				!f.Stack.Equal(bad) || !f.FirstFree.Equal(c.first) || !strings.HasPrefix(f.Source, "x.log:") {
				t.Errorf("shifted %v, %v: %+v", shifted, c.kind, f)
			}
		}
	}
}

// Where events are missing, what a refused free means is less certain, and the
// finding says so.
func TestRecordInvalidFreeDoubts(t *testing.T) {
	site := heap.Stack{0x11ea0, 0x21744, 0x113dc}
	const vague = "the record lacks events that this depends on"
	for _, c := range []struct {
		name           string
		pointer        uint64
		kind           heap.Kind
		gap            func(dev *recorder) // what the log lacks, between the free and the refused free
		before         bool                // between the allocations and the free instead
		cause, partial string
	}{
		{"freed, all seen", 0x60000, heap.DoubleFree, nil, false, "freed before, and not allocated again since", ""},
		{
			"freed, 7 lost", 0x60000, heap.DoubleFree, func(dev *recorder) { dev.slot += 7 }, false,
			"freed before, and not allocated again since, unless its allocation is among the 7 events missing", "the record lacks 7 events that this depends on",
		},
		{"freed, 7 lost before", 0x60000, heap.DoubleFree, func(dev *recorder) { dev.slot += 7 }, true, "freed before, and not allocated again since", ""},
		{
			"freed, overrun", 0x60000, heap.DoubleFree, func(dev *recorder) { dev.WriteString("Rec:error:the printf speed is low,Rnd\n") }, false,
			"freed before, and not allocated again since, unless its allocation is among the events missing", vague,
		},
		{
			"freed, switched off", 0x60000, heap.DoubleFree, func(dev *recorder) { dev.WriteString("# memshowdisable\n# memshowenable\n") }, false,
			"freed before, and not allocated again since, unless its allocation is among the events missing", vague,
		},
		{
			"freed, the device's table full", 0x60000, heap.DoubleFree, func(dev *recorder) {
				dev.WriteString(eventText(dev.slot, 1<<18-1, 0, allocAction, 1, 1, 0))
				dev.slot++
			}, false,
			"freed before, and not allocated again since, unless its allocation is among the 1 event missing", "the record lacks 1 event that this depends on",
		},
		{
			"live, 1 lost", 0x60040, heap.HeaderDamaged, func(dev *recorder) { dev.slot++ }, true,
			"the node is live and the pointer is right, so its header was most likely overwritten, unless its free is among the 1 event missing",
			"the record lacks 1 event that this depends on",
		},
		{
			"inside, 2 lost", 0x60048, heap.InsideNode, func(dev *recorder) { dev.slot += 2 }, true,
			"8 bytes into a live node, unless its free is among the 2 events missing", "the record lacks 2 events that this depends on",
		},
		{
			"nowhere, 2 lost", 0x99990, heap.InsideFree, func(dev *recorder) { dev.slot += 2 }, true,
			"no node that the record knows to be live contains it, unless an allocation there is among the 2 events missing",
			"the record lacks 2 events that this depends on",
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			dev := newRecorder(false)
			dev.task = 5
			dev.alloc(0x60000, 24, site)
			dev.alloc(0x60040, 24, site)
			if c.before && c.gap != nil {
				c.gap(dev)
			}
			dev.free(0x60000, site)
			if !c.before && c.gap != nil {
				c.gap(dev)
			}
			dev.event(invalidAction, c.pointer, 0, site)
			all := findings(t, &dev.Buffer)
			if len(all) != 1 {
				t.Fatal(all)
			}
			if f := all[0]; f.Kind != c.kind || f.Cause != c.cause || f.Partial != c.partial {
				t.Errorf("%v\ncause   %q\nwant    %q\npartial %q\nwant    %q", f.Kind, f.Cause, c.cause, f.Partial, c.partial)
			}
		})
	}
}

// A finding names the owners that it is about, no others.
func TestRecordInvalidFreeOwners(t *testing.T) {
	dev := newRecorder(false)
	dev.WriteString("Name TID Status\nnet_task 0x5 Ready\napp_task 0x6 Ready\nidle 0x7 Ready\n\n")
	site := heap.Stack{0x11ea0, 0x21744, 0x113dc}
	dev.task = 6
	dev.alloc(0x60000, 24, site)
	dev.task = 5
	dev.event(invalidAction, 0x60000, 0, site)
	dev.task = 8
	dev.event(invalidAction, 0, 0, site)
	all := findings(t, &dev.Buffer)
	if len(all) != 2 || all[1].Owners != nil {
		t.Fatal(all)
	}
	if d := cmp.Diff(map[heap.Owner]string{5: "net_task", 6: "app_task"}, all[0].Owners); d != "" {
		t.Error(d)
	}
}

// Three LRs run together: what can be read is read right, what cannot is left
// out.
func TestChains(t *testing.T) {
	for _, c := range []struct {
		name          string
		low, high     heap.Addr
		step          heap.Addr
		doubtful, all int // at most so many of so many
	}{
		{"one width", 0x10000, 0x50000, 4, 0, 300},
		{"32 bits", 0x80100000, 0x80400000, 4, 0, 300},
		{"Thumb", 0x8000101, 0x80a0001, 2, 0, 300},
		{"64 bits", 0x40080000, 0x40200000, 4, 0, 300},
		{"two widths", 0xc000, 0x40000, 4, 10, 300},
		{"small and two widths", 0xe00, 0x2000, 4, 10, 300},
	} {
		t.Run(c.name, func(t *testing.T) {
			rng := rand.New(rand.NewPCG(1, 1))
			lr := func() heap.Addr {
				// A program has far fewer call sites than instructions.
				return c.low + heap.Addr(rng.IntN(200))*(c.high-c.low)/200/c.step*c.step
			}
			var table chainTable
			var want []heap.Stack
			middle := (c.low + c.high) / 2
			want = append(want, heap.Stack{middle, middle, middle})
			for len(want) < c.all {
				s := heap.Stack{lr(), lr(), lr()}
				want = append(want, s[:3-min(rng.IntN(20), 3)%4%3])
			}
			for i, s := range want {
				text := ""
				for _, a := range s {
					text += fmt.Sprintf("%x", uint64(a))
				}
				table.put(i, []byte(text+"000"[len(s):]))
			}
			table.split()
			for i, s := range want {
				if got := table.stack(i); len(got) > 0 && !got.Equal(s) {
					t.Errorf("%x read as %x", s, got)
				}
			}
			if n := table.doubtful(); n > c.doubtful {
				t.Errorf("%d of %d left out", n, c.all)
			} else {
				t.Logf("%d of %d left out", n, c.all)
			}
		})
	}
	var none chainTable
	none.put(0, []byte("000"))
	none.put(1, []byte("0"))
	none.put(2, []byte("00012"))
	none.put(3, []byte("11ea02174413dc")) // one of four digits and two of five
	none.split()
	if len(none.stack(0)) > 0 || none.doubtful() != 3 {
		t.Errorf("%v, %d doubtful", none.chains, none.doubtful())
	}
}

func BenchmarkRecord(b *testing.B) {
	dev := newRecorder(true)
	dev.churn(rand.New(rand.NewPCG(1, 1)), 20000, func() {})
	benchmark(b, dev.Bytes())
}

// Whatever lines of a stream are lost, a live set that claims to be whole is,
// up to the last event that arrived.
func TestRecordLoss(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		dev := newRecorder(rapid.Bool().Draw(t, "shifted"))
		dev.churn(rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 1)), 200, func() {})
		lines := strings.SplitAfter(strings.TrimSuffix(dev.String(), "\n"), "\n")
		for range rapid.IntRange(1, 3).Draw(t, "lost") {
			i := rapid.IntRange(0, len(lines)-2).Draw(t, "line")
			lines = slices.Delete(lines, i, i+1)
		}
		r := NewReader(strings.NewReader(strings.Join(lines, "")), "x.log")
		var last *heap.Snapshot
		for s, err := range r.Snapshots() {
			if err != nil {
				t.Fatal(err)
			}
			last = s
		}
		if last.Partial != "" {
			return
		}
		want := dev.nodes()
		if len(last.Nodes) != len(want) {
			t.Fatalf("%d nodes of %d, notes %v", len(last.Nodes), len(want), r.Notes())
		}
		noted := len(r.Notes()) > 0
		for i, n := range last.Nodes {
			whole := n.Size == want[i].Size && n.Stack.Equal(want[i].Stack)
			if n.Addr != want[i].Addr || n.Birth != want[i].Birth || !whole && (!noted || n.Size != 0 && len(n.Stack) > 0) {
				t.Fatalf("node %+v, want %+v, notes %v", n, want[i], r.Notes())
			}
		}
	})
}

// A long stream, and one that claims every number there is, cost no more than
// the live set and the tables.
func TestRecordMemory(t *testing.T) {
	var log bytes.Buffer
	for i := range 50000 {
		fmt.Fprintf(&log, "~^%s%x^~\n*^%s%d^*\n$^%s%x%x%x^$\n~!%s%s%s0002%s%s!~\n", base64(i*5, 3), i*64, base64(i, 2), i, base64(i, 2), i, i, i,
			base64(i, 2), base64(i*5, 3), base64(i, 2), base64(i%64, 2)+base64(i, 6), base64(i, 2))
	}
	r := NewReader(&log, "x.log")
	for s, err := range r.Snapshots() {
		if err != nil || len(s.Nodes) > 50000 {
			t.Fatal(len(s.Nodes), err)
		}
	}
	if a, z, l := len(r.records.addrs.entries), len(r.records.sizes.entries), len(r.records.chains.chains.entries); a > 1<<18 || z > 1<<12 || l > 1<<12 || cap(r.records.carry) > maxLine+64 {
		t.Errorf("tables of %d, %d and %d", a, z, l)
	}
}

// The stream of a program that leaks at one site, has a cache that fills to 30
// nodes, churns, and frees a node twice. It is a file so that whatever reads
// logs can be tried with it.
func TestRecordFixture(t *testing.T) {
	dev := newRecorder(true)
	rng := rand.New(rand.NewPCG(3, 3))
	dev.Reset()
	dev.WriteString("********Hello Huawei LiteOS********\nmain core booting up...\nHuawei LiteOS # task\n\n" +
		"Name                   TaskEntryAddr       TID    Priority   Status       StackSize    MEMUSE\n" +
		"----                   -------------       ---    --------   --------     ---------    ------\n" +
		"sensor_task            0x2ba2c             0xb    12         Delay        0x2000       980\n" +
		"net_task               0x2bcc8             0xc    13         Delay        0x2000       2096\n" +
		"churn_task             0x2bff4             0xe    15         Delay        0x2000       18048\n" +
		"cache_task             0x2c0c0             0xf    16         Delay        0x2000       2000\n\nHuawei LiteOS # memshowenable\n")
	dev.boot()
	next, freed := uint64(0x60000), []uint64{}
	site := func(i heap.Addr) heap.Stack { return heap.Stack{0x2ba40 + i*0x40, 0x2ba10, 0x123f0} }
	alloc := func(task int, size uint64, at heap.Addr) uint64 {
		addr := next
		if len(freed) > 4 {
			addr, freed = freed[0], freed[1:]
		} else {
			next += 0x100
		}
		dev.task = task
		dev.alloc(addr, size, site(at))
		return addr
	}
	free := func(addr uint64, at heap.Addr) {
		dev.free(addr, site(at))
		freed = append(freed, addr)
	}
	var cache, churn []uint64
	twice := false
	for dev.tick < 6000 {
		dev.tick += uint64(1 + rng.IntN(4))
		if len(churn) > 20+rng.IntN(10) {
			i := rng.IntN(len(churn))
			free(churn[i], 4)
			churn = slices.Delete(churn, i, i+1)
		} else {
			churn = append(churn, alloc(0xe, uint64(16+4*rng.IntN(20)), 3))
		}
		if dev.tick%50 < 2 {
			alloc(0xb, 40, 1)
		}
		if dev.tick%90 < 3 {
			cache = append(cache, alloc(0xf, 64, 2))
			if len(cache) > 30 {
				free(cache[0], 5)
				cache = cache[1:]
			}
		}
		if dev.tick > 4000 && !twice {
			twice = true
			dev.task = 0xc
			dev.event(invalidAction, freed[len(freed)-1], 0, site(6))
		}
	}
	dev.WriteString("Huawei LiteOS # memshowdisable\nHuawei LiteOS # ")
	const name = "testdata/devices/liteos-record.log"
	log := strings.ReplaceAll(dev.String(), "\n", "\r\n")
	if *update {
		if err := os.WriteFile(name, []byte(log), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if want := string(testdata(t, strings.TrimPrefix(name, "testdata/"))); want != log {
		t.Error("the fixture is not what the recorder prints: rewrite it with -update")
	}
	_, snaps, err := read(t, log)
	if err != nil {
		t.Fatal(err)
	}
	var leaked, cached []int
	for _, s := range snaps {
		counts := map[heap.Addr]int{}
		for _, n := range s.Nodes {
			counts[n.Stack[0]]++
		}
		leaked, cached = append(leaked, counts[site(1)[0]]), append(cached, counts[site(2)[0]])
	}
	if !slices.IsSorted(leaked) || leaked[len(leaked)-1] < 100 || slices.Max(cached) != 30 {
		t.Errorf("leak %v, cache %v", leaked, cached)
	}
}

// Stacks that cannot be split must not be tried again and again.
func TestRecordDoubtfulStacks(t *testing.T) {
	dev := newRecorder(false)
	for i := range 4000 {
		dev.tick++
		addr := uint64(0x60000 + 16*i)
		dev.alloc(addr, 8, nil)
		// One of four digits and two of five, in a program with no others.
		dev.event(invalidAction, addr+4, 0, heap.Stack{heap.Addr(0x11000 + i), heap.Addr(0x21000 + i), heap.Addr(0x1000 + i)})
	}
	r := NewReader(&dev.Buffer, "x.log")
	r.EveryTicks = 1000
	findings := 0
	for i, err := range r.Items() {
		if err != nil {
			t.Fatal(err)
		}
		if i.Finding != nil {
			findings++
		}
	}
	if notes := strings.Join(r.Notes(), "\n"); findings != 4000 || !strings.Contains(notes, "call stacks printed without separators") {
		t.Errorf("%d findings, notes %s", findings, notes)
	}
}
