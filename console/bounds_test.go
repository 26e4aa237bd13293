package console

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/heapwright/heapwright/heap"
)

// What a log names beyond what is remembered is left out, and Notes says so.
func TestTooManyTasks(t *testing.T) {
	r, snaps, err := read(t, manyTasks(maxTasks+904)+"\nName TaskEntryAddr TID Status MEMUSE\nmain 0x1 0x1 Run 8\n\n"+header+row1+end)
	if err != nil || len(snaps) != 1 {
		t.Fatal(len(snaps), err)
	}
	tasks, owners := r.Tasks(), snaps[0].Owners
	if len(tasks) != maxTasks || len(owners) != maxTasks-1 {
		t.Errorf("%d tasks, %d owners", len(tasks), len(owners))
	}
	if tasks[1].Name != "main" || owners[1] != "main" || tasks[2].Name != "task2" {
		t.Errorf("tasks %v, owner %q", tasks[:3], owners[1])
	}
	if want := "x.log: 904 rows of task tables left out: only 4096 tasks are remembered"; !slices.Contains(r.Notes(), want) {
		t.Errorf("notes %q", r.Notes())
	}
}

// Tables that change all the time cost snapshots their new names, and say so.
func TestTaskNamesTooOften(t *testing.T) {
	rename := "Name TaskEntryAddr TID Status MEMUSE\ntask%d 0x1 0x1 Run 8\n\n" + header + row1 + end + "\n"
	var log strings.Builder
	log.WriteString(manyTasks(maxTasks))
	const times = 2 * nameBudget / maxTasks
	for i := range times {
		fmt.Fprintf(&log, rename, i)
	}
	r, snaps, err := read(t, log.String())
	if err != nil || len(snaps) != times {
		t.Fatal(len(snaps), err)
	}
	old := 0
	for i, s := range snaps {
		if s.Owners[1] != fmt.Sprintf("task%d", i) {
			old++
		}
	}
	if old < times/4 || old > times*3/4 || !slices.Contains(r.Notes(), fmt.Sprintf("x.log: task tables change too often: %d snapshots with old names of tasks", old)) {
		t.Errorf("%d of %d with old names, notes %q", old, times, r.Notes())
	}
}

func TestTooManyPools(t *testing.T) {
	var log strings.Builder
	info := func(i int, used uint64) {
		fmt.Fprintf(&log, "pool%d :\r\n%s0x%x 0x10000 0x%x 0x8000 0x8000 0x1 0x1 0x9000\r\n", i, infoHead, i<<20, used)
	}
	for i := range maxTold + 5 {
		info(i, 0x1000)
	}
	info(1, 0x2000)
	log.WriteString(header + "0x00100bac:  0x00011ea0  0x00021744  0x000113dc \r\n" + end)
	r, snaps, err := read(t, log.String())
	if err != nil || len(snaps) != 1 {
		t.Fatal(len(snaps), err)
	}
	if n := len(r.told.pools); n != maxTold || snaps[0].Stats.Used != 0x2000 {
		t.Errorf("%d pools, totals %+v", n, snaps[0].Stats)
	}
	if want := "x.log: totals left out 5 times: only 64 pools are remembered"; !slices.Contains(r.Notes(), want) {
		t.Errorf("notes %q", r.Notes())
	}
}

func TestTooManyOwners(t *testing.T) {
	var l listing
	for i := range maxOwners + 100 {
		l.name(heap.Owner(i), []byte("a"))
		l.name(heap.Owner(i), []byte("b"))
	}
	if len(l.owners) != maxOwners || l.owners[maxOwners-1] != "a" {
		t.Errorf("%d owners, the last %q", len(l.owners), l.owners[maxOwners-1])
	}
}
