package main

import (
	"testing"
	"time"

	"github.com/heapwright/heapwright/heap"
	"github.com/heapwright/heapwright/leak"
)

func TestClock(t *testing.T) {
	at := func(s string) time.Time {
		if s == "" {
			return time.Time{}
		}
		m, err := time.Parse(time.DateTime, s)
		if err != nil {
			t.Fatal(err)
		}
		return m
	}
	for _, c := range []struct {
		name    string
		a, b    [2]string // the first and the last listing of two logs
		swapped bool
	}{
		{"in order", [2]string{"2026-11-22 10:00:00", "2026-11-22 11:00:00"}, [2]string{"2026-11-22 12:00:00", "2026-11-22 13:00:00"}, false},
		{"swapped", [2]string{"2026-11-22 12:00:00", "2026-11-22 13:00:00"}, [2]string{"2026-11-22 10:00:00", "2026-11-22 11:00:00"}, true},
		{"overlapping", [2]string{"2026-11-22 10:00:00", "2026-11-22 12:00:00"}, [2]string{"2026-11-22 11:00:00", "2026-11-22 13:00:00"}, true},
		{"days apart", [2]string{"2026-11-25 10:00:00", "2026-11-25 12:00:00"}, [2]string{"2026-11-22 11:00:00", "2026-11-22 13:00:00"}, true},
		{"no time", [2]string{"", ""}, [2]string{"2026-11-22 11:00:00", "2026-11-22 13:00:00"}, false},
		{"no day, swapped", [2]string{"0000-01-01 12:00:00", "0000-01-01 13:00:00"}, [2]string{"0000-01-01 10:00:00", "0000-01-01 11:00:00"}, true},
		{"no day, past midnight", [2]string{"0000-01-01 22:00:00", "0000-01-01 23:00:00"}, [2]string{"0000-01-01 01:00:00", "0000-01-01 02:00:00"}, false},
		{"no year, swapped", [2]string{"0000-11-23 12:00:00", "0000-11-23 13:00:00"}, [2]string{"0000-11-20 10:00:00", "0000-11-20 11:00:00"}, true},
		{"no year, new year", [2]string{"0000-12-31 12:00:00", "0000-12-31 13:00:00"}, [2]string{"0000-01-01 10:00:00", "0000-01-01 11:00:00"}, false},
		{"two kinds of clocks", [2]string{"2026-11-22 12:00:00", "2026-11-22 13:00:00"}, [2]string{"0000-11-22 10:00:00", "0000-11-22 11:00:00"}, false},
	} {
		var k clock
		for _, s := range c.a {
			k.see("a.log", leak.Listing{&heap.Snapshot{Time: at(s)}})
		}
		if note := k.end(); note != "" {
			t.Errorf("%s: of the first log: %s", c.name, note)
		}
		for _, s := range c.b {
			k.see("b.log", leak.Listing{&heap.Snapshot{Time: at(s)}})
		}
		if note := k.end(); (note != "") != c.swapped {
			t.Errorf("%s: %q", c.name, note)
		}
	}
}
