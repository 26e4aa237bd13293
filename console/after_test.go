package console

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// A log that continues others goes on with their numbers, and a boot at its
// beginning is a restart of the device that they show.
func TestAfter(t *testing.T) {
	const boot = "********Hello Huawei LiteOS********\r\n"
	listing := header + row1 + end
	for _, c := range []struct {
		name, log string
		after     int
		want      string
	}{
		{"first log", boot + listing + listing, 0, "[1/0 2/0] restarts 0, boots 0"},
		{"first log, later boot", listing + boot + listing, 0, "[1/0 2/1] restarts 1, boots 1"},
		{"goes on", listing + listing, 3, "[4/0 5/0] restarts 0, boots 0"},
		{"begins with a boot", boot + listing + listing, 3, "[4/1 5/1] restarts 1, boots 1"},
		{"ends with a boot", listing + boot, 3, "[4/0] restarts 0, boots 1"},
	} {
		r := NewReader(strings.NewReader(c.log), "x.log")
		r.After = c.after
		var seen []string
		for s, err := range r.Snapshots() {
			if err != nil {
				t.Fatalf("%s: %v", c.name, err)
			}
			seen = append(seen, fmt.Sprintf("%s/%d", strings.TrimPrefix(s.Label, "listing "), s.Boot))
		}
		st := r.Stats()
		if d := cmp.Diff(c.want, fmt.Sprintf("%v restarts %d, boots %d", seen, st.Restarts, st.Boots)); d != "" {
			t.Errorf("%s: %s", c.name, d)
		}
		if st.Restarts > 0 && c.after > 0 && !strings.Contains(strings.Join(r.Notes(), "\n"), "restarted before listing 4 (line 1)") {
			t.Errorf("%s: %q", c.name, r.Notes())
		}
	}
}
