package console

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestReadStamp(t *testing.T) {
	for _, c := range []struct {
		line string // up to the bar it is the stamp
		wall string
		tick uint64
		hz   uint64
	}{
		{"[2026-11-22 10:00:00.123] |node", "2026-11-22T10:00:00.123Z", 0, 0},
		{"[2026-11-22 10:00:00] |node", "2026-11-22T10:00:00Z", 0, 0},
		{"2026-11-22T10:00:00Z |node", "2026-11-22T10:00:00Z", 0, 0},
		{"2026-11-22T10:00:00.5+01:00 |node", "2026-11-22T09:00:00.5Z", 0, 0},
		{"2026-11-22T10:00:00-0330 |node", "2026-11-22T13:30:00Z", 0, 0},
		{"2026/11/22 10:00:00,123456: |node", "2026-11-22T10:00:00.123456Z", 0, 0},
		{"[2026-11-22T10:00:00.123] [   12.345678] |node", "2026-11-22T10:00:00.123Z", 12345678, 1e6},
		{"Nov 22 10:00:00 |node", "0000-11-22T10:00:00Z", 0, 0},
		{"Feb 29 10:00:00 |node", "0000-02-29T10:00:00Z", 0, 0},
		{"Nov  2 10:00:00 |node", "0000-11-02T10:00:00Z", 0, 0},
		{"10:00:00.123 -> |node", "0000-01-01T10:00:00.123Z", 0, 0},
		{"[10:00:00.123] |node", "0000-01-01T10:00:00.123Z", 0, 0},
		{"10:00:00 |node", "0000-01-01T10:00:00Z", 0, 0},
		{"1763805600.123456 |node", "2025-11-22T10:00:00.123456Z", 0, 0},
		{"[   12.345678] |node", "", 12345678, 1e6},
		{"[12.345] |node", "", 12345, 1000},
		{"<6>[   12.345] |node", "", 12345, 1000},
		{"I (600000) app: dump", "", 600000, 1000},
		{"[10:00:00.123] |W (7) app: dump", "0000-01-01T10:00:00.123Z", 7, 1000},
		{"X (600000) app: dump", "", 0, 0},
		{"I (600000)app: dump", "", 0, 0},
		{"I (60000x) app: dump", "", 0, 0},
		{"I (600000) dump", "", 0, 0},
		{"[1.2 0.0] I (6) app: dump", "", 0, 0}, // grabserial's
		{"[  12.3] [INFO] node", "", 0, 0},
		{"[12] node node node", "", 0, 0},
		{"2026-13-22 10:00:00 node", "", 0, 0},
		{"2026-02-30 10:00:00 node", "", 0, 0},
		{"2026-11-22 25:00:00 node", "", 0, 0},
		{"10:00:00:aa:bb:cc node", "", 0, 0},
		{"10:00:00x node", "", 0, 0},
		{"[10:00:00.123 node", "", 0, 0},
		{"Foo 22 10:00:00 node", "", 0, 0},
		{"Nov 31 10:00:00 node", "", 0, 0},
		{"1234567 1234567890123 node", "", 0, 0},
		{"0x00056bac:  0x00011ea0", "", 0, 0},
		{"[99999999999.123] node", "", 0, 0},
		{"10:00:0", "", 0, 0},
		{"2026-11-22 10:00:0", "", 0, 0},
	} {
		before, after, stamped := strings.Cut(c.line, "|")
		s := readStamp([]byte(before + after))
		got := ""
		if s.form != noWall {
			got = s.wall.Format(time.RFC3339Nano)
		}
		if got != c.wall || s.tick != c.tick || s.hz != c.hz {
			t.Errorf("%q: %q, %d ticks of %d a second", c.line, got, s.tick, s.hz)
		}
		if stamped != (s.length > 0) || stamped && s.length != len(before) {
			t.Errorf("%q: %d bytes", c.line, s.length)
		}
	}
}

// Stamps without a date count the days; a clock that is set back a little has
// not passed midnight.
func TestClock(t *testing.T) {
	var c clock
	var got []string
	for _, at := range []string{"23:00:00", "01:00:00", "00:59:00", "23:59:59", "00:00:00"} {
		c.see([]byte(at+" x"), 1)
		got = append(got, c.now.wall.Format("02 15:04"))
	}
	if d := cmp.Diff([]string{"01 23:00", "02 01:00", "02 00:59", "02 23:59", "03 00:00"}, got); d != "" {
		t.Error(d)
	}
}

func TestTimeOfListings(t *testing.T) {
	stamped := func(at, log string) string {
		return at + strings.ReplaceAll(strings.TrimSuffix(log, "\n"), "\n", "\n"+at) + "\n"
	}
	log := stamped("[2026-11-22 10:00:00.123] ", header+row1+end) + stamped("[   12.345678] ", header+row2+end) + header + row3 + end
	_, snaps, err := read(t, log)
	if err != nil || len(snaps) != 3 {
		t.Fatal(len(snaps), err)
	}
	if want := time.Date(2026, 11, 22, 10, 0, 0, 123e6, time.UTC); !snaps[0].Time.Equal(want) || snaps[0].TickHz != 0 {
		t.Errorf("taken %v, %d ticks a second", snaps[0].Time, snaps[0].TickHz)
	}
	if s := snaps[1]; !s.Time.IsZero() || s.Tick != 12345678 || s.TickHz != 1e6 {
		t.Errorf("taken %v, tick %d of %d a second", s.Time, s.Tick, s.TickHz)
	}
	if s := snaps[2]; !s.Time.IsZero() || s.TickHz != 0 {
		t.Errorf("a listing without a stamp was taken at %v", s.Time)
	}
	for i, s := range snaps {
		if s.Partial != "" || len(s.Nodes) != 1 {
			t.Errorf("listing %d: %s", i+1, render(s))
		}
	}
}

// ESP-IDF prints listings without the prefix of its log: the line in front of
// one has it, and one further up says nothing.
func TestTimeOfTrace(t *testing.T) {
	const trace = "====== Heap Trace: 0 records (9 capacity) ======\n====== Heap Trace Summary ======\n================================\n"
	_, snaps, err := read(t, "I (1000) app: dump\n"+trace+"I (61000) app: dump\n\n"+trace+"other\nother\n"+trace)
	if err != nil || len(snaps) != 3 {
		t.Fatal(len(snaps), err)
	}
	for i, want := range []uint64{1000, 61000, 0} {
		if s := snaps[i]; s.Tick != want || (s.TickHz == 1000) != (want > 0) {
			t.Errorf("listing %d: tick %d of %d a second", i+1, s.Tick, s.TickHz)
		}
	}
}
