package leak

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestGate(t *testing.T) {
	all := []string{
		"CONFIRMED 8/9 new", "CONFIRMED 8/9 known", "CONFIRMED 8/9 accepted",
		"SUSPECT 8/9 new2", "SUSPECT 8/9 known2", "SUSPECT 8/9 accepted2",
		"STABLE 0/9 calm",
	}
	for _, c := range []struct {
		least Verdict
		sites []string
		want  string
	}{
		{Confirmed, all, "new; known 1, suppressed 1, inconclusive false"},
		{Suspect, all, "new new2; known 2, suppressed 2, inconclusive false"},
		{"", all, "; known 0, suppressed 0, inconclusive false"},
		{Confirmed, all[1:], "; known 1, suppressed 1, inconclusive false"},
		{Confirmed, []string{"INCONCLUSIVE 8/9 new"}, "; known 0, suppressed 0, inconclusive true"},
		{Confirmed, []string{"INCONCLUSIVE 8/9 known", "INCONCLUSIVE 8/9 accepted"}, "; known 0, suppressed 0, inconclusive false"},
	} {
		g := judged(t, c.sites...)
		suppressions(t, "leak:accepted*").Apply(g, today)
		baseline(t, `{"heapwright_baseline":1,"sites":[{"chain":["known"]},{"chain":["known2"]}]}`).Apply(g)
		o := g.Gate(c.least)
		var failing []string
		for _, s := range o.Failing {
			failing = append(failing, chain(s.Frames))
		}
		got := fmt.Sprintf("%s; known %d, suppressed %d, inconclusive %v", strings.Join(failing, " "), o.Known, o.Suppressed, o.Inconclusive)
		if d := cmp.Diff(c.want, got); d != "" {
			t.Errorf("%s: %s", c.least, d)
		}
	}
	if o := growth(Listing{snapshot("", "", "10:1")}).Gate(Confirmed); !o.Inconclusive {
		t.Error("one listing is conclusive")
	}
}
