package console

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"

	"github.com/heapwright/heapwright/heap"
)

// badFree returns a report of a wild pointer, from a real log.
func badFree(t *testing.T) string {
	t.Helper()
	_, report, _ := strings.Cut(string(testdata(t, "wild_mid.log")), "gt: >>> LOS_MemFree(B+16=0xb785c)\r\n")
	report, _, ok := strings.Cut(report, "gt freeb")
	if !ok {
		t.Fatal("the log is another one")
	}
	return report + "\r\n"
}

// describe lists what a log holds.
func describe(items func(func(Item, error) bool)) (got []string) {
	for i, err := range items {
		switch {
		case err != nil:
			got = append(got, fmt.Sprintf("%T", errors.Unwrap(err)))
		case i.Snapshot != nil:
			got = append(got, i.Snapshot.Label)
		default:
			got = append(got, string(i.Finding.Kind))
		}
	}
	return got
}

func TestItems(t *testing.T) {
	listing := header + row1 + end + "\r\n"
	for _, c := range []struct {
		name, log           string
		items               []string
		snapshots, findings int
	}{
		{"both", listing + badFree(t) + listing, []string{"listing 1", "inside-node", "listing 2"}, 2, 1},
		{"listings only", listing, []string{"listing 1"}, 1, 0},
		{"reports only", badFree(t), []string{"inside-node"}, 0, 1},
		{"neither", "hello\n", nil, 0, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			if d := cmp.Diff(c.items, describe(NewReader(strings.NewReader(c.log), "x.log").Items())); d != "" {
				t.Error("items:", d)
			}
			_, snaps, err := read(t, c.log)
			var none *NoListingError
			if len(snaps) != c.snapshots || errors.As(err, &none) != (c.snapshots == 0) {
				t.Errorf("%d snapshots, error %v", len(snaps), err)
			}
			if none != nil && none.Findings != c.findings {
				t.Errorf("the error counts %d findings", none.Findings)
			}
			findings := 0
			for f, err := range NewReader(strings.NewReader(c.log), "x.log").Findings() {
				if f == nil || err != nil {
					t.Fatal(f, err)
				}
				findings++
			}
			if findings != c.findings {
				t.Errorf("%d findings", findings)
			}
		})
	}
}

// Silence about a file that is no log must not pass for health.
func TestItemsOfNoLog(t *testing.T) {
	for _, log := range []string{"\x7fELF\x01\x01\n", "\x1f\x8b\x08", "\xff\xfen\x00"} {
		errs := 0
		for f, err := range NewReader(strings.NewReader(log), "x.log").Findings() {
			var none *NoListingError
			if f != nil || !errors.As(err, &none) || none.Kind == "" {
				t.Errorf("%q: %v, %v", log, f, err)
			}
			errs++
		}
		if errs != 1 {
			t.Errorf("%q: %d errors", log, errs)
		}
	}
}

func TestItemsOfBrokenLog(t *testing.T) {
	broken := errors.New("unplugged")
	r := NewReader(io.MultiReader(strings.NewReader(badFree(t)+header+row1), iotest.ErrReader(broken)), "x.log")
	got := describe(r.Items())
	if want := []string{"inside-node", "listing 1", fmt.Sprintf("%T", broken)}; !slices.Equal(want, got) {
		t.Error(got)
	}
	if again := describe(r.Items()); again != nil {
		t.Error("after the error:", again)
	}
}

// One consumer goes on where another broke out.
func TestMixedConsumers(t *testing.T) {
	listing := header + row1 + end + "\r\n"
	r := NewReader(strings.NewReader(listing+badFree(t)+listing+listing), "x.log")
	var got []string
	for s := range r.Snapshots() {
		got = append(got, s.Label)
		break
	}
	for f := range r.Findings() {
		got = append(got, string(f.Kind))
		break
	}
	got = append(got, describe(r.Items())...)
	if d := cmp.Diff([]string{"listing 1", string(heap.InsideNode), "listing 2", "listing 3"}, got); d != "" {
		t.Error(d)
	}
}
