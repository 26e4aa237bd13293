package console

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"github.com/heapwright/heapwright/heap"
)

// eventText returns an event as a device prints it.
func eventText(slot, addr, size, action, task, tick, lr int) string {
	return "~!" + base64(slot%recordSlots, 2) + base64(addr, 3) + base64(size, 2) + base64(action, 4) + base64(task, 2) +
		base64(tick, 6) + base64(lr, 2) + "!~\n"
}

// flood reads a log in which loop is repeated behind prefix and fails if that
// cost more than its length allows. The costs are counted, not timed.
func flood(t *testing.T, prefix, loop []byte, times int) (*Reader, []Item) {
	t.Helper()
	const (
		ask    = 1 << 10
		search = 1 << 12
		tries  = 8 // what a try to read a call stack costs, in nodes
	)
	log := append(bytes.Clone(prefix), bytes.Repeat(loop, times)...)
	r := NewReader(bytes.NewReader(log), "x.log")
	r.Marks = []string{"begins"}
	r.records.askBudget, r.records.searchBudget = ask, search
	var items []Item
	for i, err := range r.Items() {
		if err == nil {
			items = append(items, i)
		}
	}
	s := &r.records
	if n := s.total.walked + tries*s.chains.tries; n > 64*len(log)+ask {
		t.Errorf("%d bytes cost %d: %d nodes for snapshots, %d tries of call stacks", len(log), n, s.total.walked, s.chains.tries)
	}
	if n := s.total.searched; n > search {
		t.Errorf("%d nodes searched", n)
	}
	if a, z, l := s.addrs.made, s.sizes.made, s.chains.chains.made; a > 1<<18 || z > 1<<12 || l > 1<<12 {
		t.Errorf("tables of %d, %d and %d made", a, z, l)
	}
	if n := cap(s.carry); n > 2*maxLine {
		t.Errorf("carried up to %d bytes", n)
	}
	if n := r.tasks.copied; n > nameBudget+namesPerRow*r.tasks.read {
		t.Errorf("%d names of tasks copied", n)
	}
	for _, i := range items {
		if i.Finding != nil && len(i.Finding.Owners) > 2 {
			t.Errorf("%d owners: %v", len(i.Finding.Owners), i.Finding)
		}
	}
	return r, items
}

// doubtfulStacks prints n call stacks that cannot be split.
func doubtfulStacks(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "$^%s%s^$\n", base64(i, 2), strings.Repeat("1", 25))
	}
	return b.String()
}

// manyTasks prints a task table of n tasks.
func manyTasks(n int) string {
	var b strings.Builder
	b.WriteString("Name TaskEntryAddr TID Status MEMUSE\n")
	for i := range n {
		fmt.Fprintf(&b, "task%d 0x1 0x%x Run 8\n", i, i)
	}
	return b.String()
}

// A small log with many live nodes.
func manyNodes(n int) string {
	var b strings.Builder
	b.WriteString("~^0001000^~\n*^0016^*\n$^00100001000010000^$\n")
	for i := range n {
		if i > 0 {
			fmt.Fprintf(&b, "~^%s%x^~\n", base64(i, 3), 0x1000+i*32)
		}
		b.WriteString(eventText(i, i, 0, allocAction, 1, i, 0))
	}
	return b.String()
}

// Logs made to be expensive cost no more than others of their length.
func TestRecordFloods(t *testing.T) {
	const boot = "~^00012345678^~\n*^000^*\n"
	refused := eventText(0, 0, 0, invalidAction, 1, 1, 0)
	for _, c := range []struct {
		name, prefix, loop string
		times              int
		note               string
	}{
		{name: "half a piece and blanks", prefix: "~^\n", loop: strings.Repeat(" ", 4000) + "\n", times: 200},
		{name: "half an event and blank lines", prefix: "hello ~!\n", loop: "\n", times: 20000},
		{
			name: "doubtful stacks, and one new before every event", prefix: boot + doubtfulStacks(4096),
			loop: "$^00" + strings.Repeat("1", 25) + "^$\n" + refused, times: 3000, note: "event stream: 4096 call stacks",
		},
		{
			name: "restarts that claim the highest numbers", times: 1000,
			loop: "~^0001000^~\n~^!!!2000^~\n*^!!16^*\n$^!!000^$\n" + eventText(0, 1<<18-1, 1<<12-1, allocAction, 1, 1, 1<<12-1),
		},
		{
			name: "a task renamed before every event", prefix: manyTasks(1000) + boot, times: 2000,
			loop: "Name TaskEntryAddr TID Status MEMUSE\ntosk 0x1 0x1 Run 8\n" + refused + "\nName TaskEntryAddr TID Status MEMUSE\ntusk 0x1 0x1 Run 8\n" + refused,
		},
		{
			name: "a mark before every event", prefix: manyNodes(4000), times: 2000, note: "the live set was asked for",
			loop: "begins\n" + eventText(0, 0, 0, freeAction, 1, 1, 0) + "begins\n" + eventText(0, 0, 0, allocAction, 1, 1, 0),
		},
		{
			name: "recording switched off after every event", prefix: manyNodes(4000), times: 2000, note: "the live set was asked for",
			loop: "memshowdisable\nmemshowenable\n" + eventText(0, 0, 0, freeAction, 1, 1, 0),
		},
		{
			name: "wild pointers among many nodes", prefix: manyNodes(4000) + "~^zzz900^~\n*^010^*\n", times: 1000,
			loop: eventText(0, 35<<12+35<<6+35, 1, invalidAction, 1, 1, 0),
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			r, _ := flood(t, []byte(c.prefix), []byte(c.loop), c.times)
			if notes := strings.Join(r.Notes(), "\n"); !strings.Contains(notes, c.note) {
				t.Errorf("no %q in notes\n%s", c.note, notes)
			}
		})
	}
}

// What a mark could not get comes with a later snapshot.
func TestRecordTooManyMarks(t *testing.T) {
	_, items := flood(t, []byte(manyNodes(4000)), []byte("begins\n"+eventText(0, 0, 0, freeAction, 1, 1, 0)), 6000)
	marked, last := 0, 0
	for _, i := range items {
		if s := i.Snapshot; s != nil {
			marked += len(s.Marks)
			last = len(s.Nodes)
		}
	}
	if marked == 0 || marked > 100 || last != 3999 {
		t.Errorf("%d marks, %d nodes at the end", marked, last)
	}
}

// Behind half a piece, blank lines are what they are elsewhere.
func TestRecordBlankLines(t *testing.T) {
	_, snaps, err := read(t, script(false).String()+"hello ~!\n"+header+row1+row2+"\n\n\n")
	if err != nil || len(snaps) != 2 {
		t.Fatal(len(snaps), err)
	}
	for _, s := range snaps {
		if s.Partial != "" {
			t.Errorf("%s: %s", s.Label, s.Partial)
		}
	}
}

// The rest of a piece can be a few lines away, not more.
func TestRecordStale(t *testing.T) {
	clean := script(false).String()
	at := strings.LastIndex(clean, "~!") + 9
	whole := len(script(false).nodes())
	for lines := range 2 * maxStale {
		for _, other := range []string{"wdt: fed\n", "\n"} {
			_, snaps, err := read(t, clean[:at]+"\n"+strings.Repeat(other, lines)+clean[at:])
			if err != nil || len(snaps) != 1 {
				t.Fatal(len(snaps), err)
			}
			lost := 0
			if lines > maxStale {
				lost = 1
			}
			if n := len(snaps[0].Nodes); n != whole-lost {
				t.Errorf("%d lines %q: %d nodes of %d", lines, other, n, whole)
			}
		}
	}
}

// The device's clock begins again every 2^32 ticks, and again.
func TestRecordClockWraps(t *testing.T) {
	dev := newRecorder(false)
	var want []uint64
	for i := range 16 {
		dev.tick = uint64(i) * (recordTick / 4)
		dev.alloc(uint64(0x60000+64*i), 8, heap.Stack{0x11ea0, 0x21744, 0x113dc})
		want = append(want, dev.tick)
	}
	r, snaps, err := read(t, dev.String())
	if err != nil || len(snaps) != 1 || len(r.Notes()) > 0 {
		t.Fatal(len(snaps), err, r.Notes())
	}
	for i, n := range snaps[0].Nodes {
		if n.Birth != want[i] {
			t.Errorf("node %d born at %d, not %d", i, n.Birth, want[i])
		}
	}
	if snaps[0].Tick != dev.tick {
		t.Errorf("tick %d, not %d", snaps[0].Tick, dev.tick)
	}
}

// When the search for the nodes of wild pointers has become too expensive, the
// findings say that nobody looked.
func TestRecordSearchBudget(t *testing.T) {
	dev := newRecorder(false)
	site := heap.Stack{0x11ea0, 0x21744, 0x113dc}
	for i := range 10 {
		dev.alloc(uint64(0x60000+64*i), 32, site)
	}
	for range 5 {
		dev.event(invalidAction, 0x60000+64*9+8, 0, site)
	}
	r := NewReader(&dev.Buffer, "x.log")
	r.records.searchBudget = 30
	found, gaveUp := 0, 0
	for f, err := range r.Findings() {
		switch {
		case err != nil:
			t.Fatal(err)
		case f.Kind == heap.InsideNode && f.Partial == "":
			found++
		case f.Kind == heap.InsideFree && f.Partial == "too many invalid frees to look for the node of each":
			gaveUp++
		}
	}
	if found != 3 || gaveUp != 2 {
		t.Errorf("%d found, %d given up", found, gaveUp)
	}
}

// Whatever stands in a log however often, the cost is bounded by its length.
func FuzzRecordFlood(f *testing.F) {
	f.Add([]byte("~^\n"), []byte("   \n"), uint16(2000))
	f.Add([]byte("~^00012345678^~\n*^000^*\n"+doubtfulStacks(40)), []byte("$^00"+strings.Repeat("1", 25)+"^$\n"+eventText(0, 0, 0, invalidAction, 1, 1, 0)), uint16(500))
	f.Add([]byte(""), []byte("~^0001000^~\n~^~~~2000^~\n*^0016^*\n"+eventText(0, 1<<18-2, 0, allocAction, 1, 1, 0)), uint16(100))
	f.Add([]byte(manyNodes(200)), []byte("begins\n"+eventText(0, 0, 0, freeAction, 1, 1, 0)), uint16(300))
	f.Add([]byte(manyNodes(200)), []byte("memshowdisable\nmemshowenable\n"+eventText(0, 0, 0, freeAction, 1, 1, 0)), uint16(300))
	f.Add([]byte(manyTasks(20)+manyNodes(20)), []byte("Name TID Status\ntosk 0x1 Run\nbegins\n"+eventText(0, 999, 0, invalidAction, 1, 1, 0)), uint16(300))
	f.Add(script(true).Bytes(), []byte("Rec:error\n~!0"), uint16(100))
	f.Fuzz(func(t *testing.T, prefix, loop []byte, times uint16) {
		n := int(times)
		if len(loop) > 0 {
			n = min(n, 1<<18/len(loop))
		}
		flood(t, prefix, loop, n)
	})
}

// A wrong first guess at the digits of LRs does not last until the log ends.
func TestChainsGuessAgain(t *testing.T) {
	var table chainTable
	table.put(0, []byte("000"))
	table.split()
	for i := range 40 {
		table.put(i+1, fmt.Appendf(nil, "%x%x%x", 0x11000+4*i, 0x21744, 0x113dc))
		table.split()
	}
	if n := table.doubtful(); n > minNews {
		t.Errorf("%d of 40 not read", n)
	}
}
