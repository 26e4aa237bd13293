package report

import (
	"io"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/heapwright/heapwright/heap"
	"github.com/heapwright/heapwright/leak"
)

func TestRelative(t *testing.T) {
	for _, c := range []struct{ name, roots, want string }{
		{"/ci/fw/src/app.c", "/ci/fw", "src/app.c"},
		{"/ci/fw/src/app.c", "/ci/fw/", "src/app.c"},
		{"/ci/fw/build/../src/app.c", "/ci/fw", "src/app.c"},
		{"/ci/fw2/app.c", "/ci/fw", "/ci/fw2/app.c"},
		{"/ci/fw", "/ci/fw", "/ci/fw"},
		{"/ci/fw/app.c", "/elsewhere /ci", "fw/app.c"},
		{"/ci/fw/app.c", "/ci /ci/fw", "fw/app.c"},
		{"src/app.c", "/ci/fw", "src/app.c"},
		{"../src/app.c", "..", "src/app.c"},
		{"src/app.c", ".", "src/app.c"},
		{"/app.c", "/", "app.c"},
		{`C:\fw\src\app.c`, `c:\fw`, "src/app.c"},
		{"C:/fw/src/app.c", `C:\fw\`, "src/app.c"},
		{`C:\fw\app.c`, `D:\fw`, `C:\fw\app.c`},
		{"", "/", ""},
	} {
		var r roots
		for _, dir := range strings.Fields(c.roots) {
			r = append(r, slashed(dir))
		}
		if got := r.relative(c.name); got != c.want {
			t.Errorf("%s below %s is %s, want %s", c.name, c.roots, got, c.want)
		}
	}
}

// All formats that name source files name them so, in sites and in findings,
// and nothing else changes.
func TestFormatsNameFilesRelatively(t *testing.T) {
	moved := func(dir string) *Document {
		d := everything()
		for i := range d.Growth.Sites {
			frames := d.Growth.Sites[i].Frames
			for k := range frames {
				if frames[k].File != "" {
					frames[k].File = dir + frames[k].File
				}
			}
		}
		d.Symbols = prefixed{d.Symbols, dir}
		return d
	}
	for name, f := range allFormats {
		text := func(dir string, o Options) string {
			return write(t, func(w io.Writer) error { return f(w, moved(dir), o) })
		}
		want := text("", Options{Top: 0})
		if got := text("/ci/fw/", Options{Roots: []string{"/elsewhere", "/ci/fw"}}); name != "pprof" && got != want {
			t.Error(name, cmp.Diff(want, got))
		}
		if name != "pprof" && name != "collapsed" && !strings.Contains(text("/ci/fw/", Options{}), "/ci/fw/net/rx.c") {
			t.Errorf("%s has no file names", name)
		}
	}
	d := moved("/ci/fw/")
	d.relative(Options{Roots: []string{"/ci"}})
	if d := cmp.Diff(moved("/ci/fw/").Growth.Sites[0].Frames, d.Growth.Sites[0].Frames); d != "" {
		t.Error("the document has changed:", d)
	}
}

// prefixed is a symbolizer with a directory in front of files.
type prefixed struct {
	heap.Symbolizer
	dir string
}

func (p prefixed) Frames(lr heap.Addr) []heap.Frame {
	frames := append([]heap.Frame(nil), p.Symbolizer.Frames(lr)...)
	for i := range frames {
		if frames[i].File != "" {
			frames[i].File = p.dir + frames[i].File
		}
	}
	return frames
}

func TestSourceBelow(t *testing.T) {
	frames := []heap.Frame{{Function: "f"}, {File: "/ci/fw/a.c"}}
	for dir, want := range map[string]bool{"/ci": true, "/ci/fw/": true, "/ci/f": false, "/other": false} {
		if got := SourceBelow(dir, frames); got != want {
			t.Errorf("%s: %v", dir, got)
		}
	}
}

// No two rows look the same while their chains differ, however narrow.
func TestRowsDiffer(t *testing.T) {
	common := []heap.Frame{
		frame(1, "msg_new", "/home/ci/firmware/messages/message_allocation.c", 9),
		frame(2, "msg_copy_with_headers", "/home/ci/firmware/messages/message_copy.c", 120),
		frame(3, "transport_queue_put", "/home/ci/firmware/transport/queue.c", 1200),
	}
	for _, verdict := range []leak.Verdict{leak.Confirmed, leak.Stable} {
		g := judged()
		g.Sites = nil
		for i, caller := range []string{"mqtt_publish", "dns_lookup"} {
			g.Sites = append(g.Sites, leak.Site{
				Verdict: verdict, Growth: 5, Counts: counts(0, 1, 2, 3, 4, 5, 6, 6),
				Frames: append(append([]heap.Frame(nil), common...), frame(heap.Addr(10+i), caller, "/home/ci/firmware/app.c", 20)),
			})
		}
		for _, width := range []int{0, 40, 60, 80, 120} {
			got := growthText(t, g, Options{Width: width, Top: -1})
			if !strings.Contains(got, "mqtt_publish") || !strings.Contains(got, "dns_lookup") {
				t.Errorf("%s at %d columns:\n%s", verdict, width, got)
			}
			if full := strings.Contains(got, "/home/ci"); full != (width == 0 || width == 120 && verdict == leak.Confirmed) {
				t.Errorf("%s at %d columns, directories %v:\n%s", verdict, width, full, got)
			}
		}
	}
}
