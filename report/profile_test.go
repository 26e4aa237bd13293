package report

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/pprof/profile"

	"github.com/heapwright/heapwright/heap"
	"github.com/heapwright/heapwright/leak"
)

// chains resolves the addresses of judged.
type chains struct{ *leak.Growth }

func (c chains) Frames(lr heap.Addr) []heap.Frame {
	var frames []heap.Frame
	for _, s := range c.Sites {
		for _, f := range s.Frames {
			if f.Addr == lr {
				frames = append(frames, f)
			}
		}
	}
	if frames == nil {
		return []heap.Frame{{Addr: lr}}
	}
	return frames
}

// live is judged with the nodes of its last listing.
func live() *Document {
	d := &Document{Growth: judged(), Notes: []string{"a note\xff"}}
	d.Symbols = chains{d.Growth}
	pools := map[string]*heap.Snapshot{}
	for _, name := range []string{"", "exc"} {
		pools[name] = &heap.Snapshot{Pool: name, Owners: map[heap.Owner]string{7: "net"}}
		d.Listing = append(d.Listing, pools[name])
	}
	for i := range d.Growth.Sites {
		s := &d.Growth.Sites[i]
		for k := range s.At(7).Nodes {
			n := heap.Node{Addr: heap.Addr(0x100000*(i+1) + 128*k), Stack: s.Stack, Total: 80, Owner: heap.Owner(7 * (k % 2))}
			if i == 2 {
				n.Total = 16
			}
			pools[s.Pool].Nodes = append(pools[s.Pool].Nodes, n)
		}
	}
	pools[""].Nodes = append(pools[""].Nodes, heap.Node{Addr: 1 << 40, State: heap.Free, Total: 1000})
	d.Mappings = []heap.Mapping{{Start: 0x2b000, Limit: 0x31000, Offset: 0x1000, File: "/fw/app.elf", BuildID: "cafe01"}}
	return d
}

func makeProfile(t *testing.T, d *Document) (*profile.Profile, string) {
	t.Helper()
	text := write(t, func(w io.Writer) error { return Profile(w, d, Options{}) })
	p, err := profile.ParseData([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "heap.pb.gz")
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return p, path
}

// pprof runs go tool pprof, which should neither ask nor complain.
func pprof(t *testing.T, args ...string) string {
	t.Helper()
	cmd := exec.Command("go", append([]string{"tool", "pprof"}, args...)...)
	cmd.Env = append(os.Environ(), "PPROF_TMPDIR="+t.TempDir(), "PPROF_BINARY_PATH="+t.TempDir())
	var complaints bytes.Buffer
	cmd.Stderr = &complaints
	out, err := cmd.Output()
	if err != nil || complaints.Len() > 0 {
		t.Fatalf("pprof %v: %v\n%s", args, err, complaints.String())
	}
	return string(out)
}

func TestProfile(t *testing.T) {
	d := live()
	p, path := makeProfile(t, d)
	if p.DefaultSampleType != "inuse_space" || len(p.Mapping) != 1 || p.Mapping[0].BuildID != "cafe01" || p.Mapping[0].File != "/fw/app.elf" {
		t.Error(p.DefaultSampleType, p.Mapping)
	}
	var objects, space int64
	for _, s := range p.Sample {
		objects += s.Value[0]
		space += s.Value[1]
	}
	if want := int64(102 + 51 + 6 + 10 + 9 + 4 + 30 + 15 + 3); objects != want || space != 80*(want-6)+16*6 {
		t.Error(objects, space)
	}
	if d := cmp.Diff("2 call sites leak, 1 suspect; 1 inconclusive, 3 stable, 1 known from the baseline, 1 suppressed.", p.Comments[0]); d != "" {
		t.Error(d)
	}

	top := pprof(t, "-top", "-nodecount=50", path)
	for _, want := range []string{"File: app.elf", "Build ID: cafe01", "Type: inuse_space", "pkt_new", "log_dup", "evil?[31m?name", "0x30300", "[no stack: 64 to 127 bytes]"} {
		if !strings.Contains(top, want) {
			t.Errorf("no %q in\n%s", want, top)
		}
	}
	confirmed := pprof(t, "-top", "-sample_index=inuse_objects", "-tagfocus=verdict=CONFIRMED", path)
	if !strings.Contains(confirmed, "172") || strings.Contains(confirmed, "cache_fill") {
		t.Error(confirmed)
	}
	tags := pprof(t, "-tags", path)
	for _, want := range []string{"verdict: ", "task: ", "pool: ", "bytes: ", "net", "CONFIRMED"} {
		if !strings.Contains(tags, want) {
			t.Errorf("no %q in\n%s", want, tags)
		}
	}
	raw := pprof(t, "-raw", path)
	for _, want := range []string{"inuse_objects/count inuse_space/bytes[dflt]", "verdict:[CONFIRMED]", "bytes:[80 bytes]", "1: 0x2b000/0x31000/0x1000 /fw/app.elf cafe01 [FN][FL][LN][IN]", "0x2ba9f M=1 pkt_new net/pkt.h:31"} {
		if !strings.Contains(raw, want) {
			t.Errorf("no %q in\n%s", want, raw)
		}
	}
	if lines := pprof(t, "-peek", "pkt_alloc", "-lines", path); !strings.Contains(lines, "app_malloc app/mem.c:12") || !strings.Contains(lines, "net_rx net/rx.c:140") {
		t.Error(lines)
	}
}

// A return address lies behind the call, and in Thumb code is odd.
func TestProfileAddresses(t *testing.T) {
	p := newProfiler(&Document{})
	for lr, want := range map[heap.Addr]uint64{0x8044: 0x8043, 0x8041: 0x803f, 1: 0, 0: 0} {
		if got := p.location([]heap.Frame{{Addr: lr, Function: "f"}}).Address; got != want {
			t.Errorf("%s: %#x, want %#x", lr, got, want)
		}
	}
}

// Mappings are half open, and nothing outside belongs to one.
func TestProfileMappings(t *testing.T) {
	p := newProfiler(&Document{Mappings: []heap.Mapping{{Start: 0x3000, Limit: 0x4000}, {Start: 0x1000, Limit: 0x2000}}})
	for a, want := range map[heap.Addr]uint64{
		0: 0, 0xfff: 0, 0x1000: 0x1000, 0x1fff: 0x1000, 0x2000: 0, 0x2fff: 0, 0x3000: 0x3000, 0x3fff: 0x3000, 0x4000: 0, ^heap.Addr(0): 0,
	} {
		m := p.mapping(a)
		if (m == nil) != (want == 0) || m != nil && m.Start != want {
			t.Errorf("%s is in %+v, want %#x", a, m, want)
		}
	}
}

// Functions inlined into each other share a location with the one that holds
// them, and with no other.
func TestProfileInlining(t *testing.T) {
	p := newProfiler(&Document{})
	var got [][]string
	for _, l := range p.stack([]heap.Frame{
		{Addr: 0x10, Function: "a", Inlined: true},
		{Addr: 0x10, Function: "b", Inlined: true},
		{Addr: 0x10, Function: "c"},
		{Addr: 0x10, Function: "c"}, // recursion from one place
		{Addr: 0x20, Function: "d", Inlined: true},
		{Addr: 0x30, Function: "e"},
	}) {
		var names []string
		for _, line := range l.Line {
			names = append(names, line.Function.Name)
		}
		got = append(got, names)
	}
	if d := cmp.Diff([][]string{{"a", "b", "c"}, {"c"}, {"d"}, {"e"}}, got); d != "" {
		t.Error(d)
	}
}

// Nodes without a call stack are of a site too, which has a name and a verdict.
func TestProfileWithoutStacks(t *testing.T) {
	sym := chains{&leak.Growth{}}
	series := leak.NewSeries(sym, leak.Options{})
	var last *heap.Snapshot
	for listing := 1; listing <= 8; listing++ {
		last = &heap.Snapshot{Pool: "small", Owners: map[heap.Owner]string{3: "net"}}
		for i := range 4 * listing {
			last.Nodes = append(last.Nodes, heap.Node{Addr: heap.Addr(0x1000 + 64*i), Size: 48, Owner: 3})
		}
		last.Nodes = append(last.Nodes, heap.Node{Addr: 0x100, Size: 500})
		series.Add(leak.Listing{last})
	}
	p, _ := makeProfile(t, &Document{Growth: series.Growth(), Symbols: sym, Listing: leak.Listing{last}})
	got := map[string]string{}
	for _, s := range p.Sample {
		got[s.Location[0].Line[0].Function.Name] = strings.Join(append(s.Label["verdict"], fmt.Sprint(s.Value)), " ")
	}
	want := map[string]string{"[no stack: net, 32 to 63 bytes]": "CONFIRMED [32 1536]", "[no stack: 256 to 511 bytes]": "STABLE [1 500]"}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}

// Counts alone make a profile too, and what is unknown is said.
func TestProfileOfCounts(t *testing.T) {
	d := &Document{Growth: judged()}
	p, path := makeProfile(t, d)
	if p.DefaultSampleType != "inuse_objects" || !strings.Contains(strings.Join(p.Comments, "\n"), "counts as 0 in inuse_space") {
		t.Error(p.DefaultSampleType, p.Comments)
	}
	for i := range d.Growth.Sites {
		d.Growth.Sites[i].Sized = false
	}
	if p, _ := makeProfile(t, d); !strings.Contains(strings.Join(p.Comments, "\n"), "inuse_space is 0 throughout") {
		t.Error(p.Comments)
	}
	if got := p.Sample[0]; got.Value[0] != 102 || got.Value[1] != 8160 || got.NumLabel["bytes"][0] != 80 || got.Label["verdict"][0] != "CONFIRMED" || len(got.Location) != 4 || len(got.Location[0].Line) != 2 {
		t.Error(got)
	}
	if top := pprof(t, "-top", path); !strings.Contains(top, "Type: inuse_objects") {
		t.Error(top)
	}
	if _, err := profile.ParseData([]byte(write(t, func(w io.Writer) error { return Profile(w, &Document{}, Options{}) }))); err != nil {
		t.Error(err)
	}
}
