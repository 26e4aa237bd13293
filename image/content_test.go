package image

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"testing/iotest"
)

func TestGzip(t *testing.T) {
	var pages []byte
	for i := range 50_000 {
		pages = append(pages, byte(i), byte(i>>3), byte(i*i>>5), 0)
	}
	whole := packed(pages)
	for _, c := range []struct {
		name    string
		b       []byte
		partial string // "": complete, "-": an error
	}{
		{"whole", whole, ""},
		{"two members", append(packed(pages[:1000]), packed(pages[1000:])...), ""},
		{"zeroes", packed(make([]byte, 1<<20)), ""},
		{"cut", whole[:len(whole)/2], "is cut"},
		{"without the end", whole[:len(whole)-4], "is cut"},
		{"cut in the header", whole[:8], "-"},
		{"wrong checksum", append(append(bytes.Clone(whole[:len(whole)-8]), 1, 2, 3, 4), whole[len(whole)-4:]...), "checksum"},
		{"rubbish behind", append(bytes.Clone(whole), "rubbish behind"...), "behind 200000 bytes"},
		{"rubbish", append(bytes.Clone(whole[:10]), "\xff\xff\xff\xff\xff\xff"...), "-"},
	} {
		m, err := Read("x", bytes.NewReader(c.b), Options{})
		if (err != nil) != (c.partial == "-") {
			t.Errorf("%s: %v", c.name, err)
		}
		if err != nil {
			continue
		}
		if (m.Partial() == "") != (c.partial == "") || !strings.Contains(m.Partial(), c.partial) {
			t.Errorf("%s: %q", c.name, m.Partial())
		}
		if got := m.View(0, m.Size()); c.name != "zeroes" && (!bytes.HasPrefix(pages, got) || c.name != "cut" && len(got) < len(pages)) {
			t.Errorf("%s: %d bytes, or other ones", c.name, len(got))
		}
	}
}

// A file of a kilobyte that unpacks to a megabyte is refused where that is too
// much, before it has taken more than that.
func TestGzipBomb(t *testing.T) {
	bomb := packed(make([]byte, 16<<20))
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	_, err := Read("bomb", bytes.NewReader(bomb), Options{MaxBytes: 1 << 20})
	runtime.ReadMemStats(&after)
	if !errors.Is(err, ErrTooLarge) {
		t.Errorf("%v", err)
	}
	if n := after.TotalAlloc - before.TotalAlloc; n > 8<<20 {
		t.Errorf("%d bytes allocated", n)
	}
	if m := must(t, bomb, Options{MaxBytes: 64 << 20}); m.Size() != 16<<20 {
		t.Errorf("%d bytes", m.Size())
	}
}

// What the trailer claims is not memory until it comes.
func TestGzipClaim(t *testing.T) {
	b := packed([]byte("abc"))
	copy(b[len(b)-4:], "\xff\xff\xff\x7f")
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	m := must(t, b, Options{})
	runtime.ReadMemStats(&after)
	if n := after.TotalAlloc - before.TotalAlloc; n > 1<<20 {
		t.Errorf("%d bytes allocated", n)
	}
	if string(m.View(0, 3)) != "abc" || m.Partial() == "" {
		t.Errorf("partial: %q", m.Partial())
	}
}

func TestReadAll(t *testing.T) {
	data := bytes.Repeat([]byte("0123456789"), 1000)
	for _, size := range []uint64{0, 1, 9_999, 10_000, 10_001, 1 << 62} {
		for _, most := range []uint64{0, 1, 9_999, 10_000, 10_001, 1 << 20} {
			for name, r := range map[string]io.Reader{
				"whole":    bytes.NewReader(data),
				"halves":   iotest.HalfReader(bytes.NewReader(data)),
				"last EOF": iotest.DataErrReader(bytes.NewReader(data)),
			} {
				b, err := readAll(r, size, most)
				if most < 10_000 {
					if !errors.Is(err, ErrTooLarge) || uint64(len(b)) != most {
						t.Errorf("%s, %d expected, at most %d: %d bytes, %v", name, size, most, len(b), err)
					}
				} else if err != nil || !bytes.Equal(b, data) {
					t.Errorf("%s, %d expected, at most %d: %d bytes, %v", name, size, most, len(b), err)
				}
			}
		}
	}
	failure := errors.New("broken")
	if b, err := readAll(io.MultiReader(strings.NewReader("abc"), iotest.ErrReader(failure)), 0, 10); !errors.Is(err, failure) || string(b) != "abc" {
		t.Errorf("%q, %v", b, err)
	}
	if _, err := Read("x", iotest.ErrReader(failure), Options{}); !errors.Is(err, failure) {
		t.Errorf("%v", err)
	}
}

func TestOpenErrors(t *testing.T) {
	for name, want := range map[string]string{
		t.TempDir():                             "directory",
		filepath.Join(t.TempDir(), "none"):      "none",
		write(t, "empty", nil):                  "empty",
		write(t, "e.gz", packed(nil)):           "empty",
		write(t, "core", []byte("\x7fELF\x01")): "damaged ELF core",
	} {
		if _, err := Open(name, Options{}); err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Mapped or read, the same comes out; nothing is written to the file.
func TestCopy(t *testing.T) {
	b := append(make([]byte, 1<<20), "the end"...)
	path := write(t, "ram", b)
	for _, o := range []Options{{}, {Copy: true}} {
		m := mustOpen(t, path, o)
		if got := m.Spans()[0].Bytes; !bytes.Equal(got, b) {
			t.Errorf("copy %v: other bytes", o.Copy)
		}
		if mapped := m.contents[0].region != nil; mapped == o.Copy && runtime.GOOS != "js" {
			t.Errorf("copy %v: mapped %v", o.Copy, mapped)
		}
		m.Spans()[0].Bytes[5] = 1
	}
	if now, err := os.ReadFile(path); err != nil || !bytes.Equal(now, b) {
		t.Errorf("the file was changed: %v", err)
	}
	if _, err := Open(path, Options{Copy: true, MaxBytes: 1 << 20}); !errors.Is(err, ErrTooLarge) {
		t.Errorf("%v", err)
	}
	mustOpen(t, path, Options{MaxBytes: 1}) // mapped
}

// A pipe cannot be mapped.
func TestPipe(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("/dev/fd is not everywhere")
	}
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	b := packed([]byte("from a pipe"))
	go func() {
		w.Write(b)
		w.Close()
	}()
	m := mustOpen(t, fmt.Sprintf("/proc/self/fd/%d", r.Fd()), Options{})
	r.Close()
	if string(m.View(0, 11)) != "from a pipe" {
		t.Errorf("%q", m.Spans())
	}
}

func TestGuard(t *testing.T) {
	path := write(t, "ram", make([]byte, 1<<20))
	m := mustOpen(t, path, Options{})
	failure := errors.New("mine")
	if err := m.Guard(func() error { return failure }); !errors.Is(err, failure) {
		t.Errorf("%v", err)
	}
	func() {
		defer func() {
			if p := recover(); p != failure {
				t.Errorf("%v", p)
			}
		}()
		m.Guard(func() error { panic(failure) })
	}()
	func() {
		defer func() {
			if p := recover(); p == nil {
				t.Error("a nil pointer is the file's fault")
			}
		}()
		m.Guard(func() error { return errors.New(string(rune((*content)(nil).bytes[0]))) })
	}()
	if runtime.GOOS == "windows" {
		return // a mapped file cannot be made shorter there
	}
	if err := os.Truncate(path, 100); err != nil {
		t.Fatal(err)
	}
	deferred := false
	err := m.Guard(func() error {
		defer func() { deferred = true }()
		if m.View(1<<19, 1)[0] == 0 {
			return nil
		}
		return failure
	})
	if !errors.Is(err, ErrShrunk) || !deferred {
		t.Errorf("%v, deferred functions ran: %v", err, deferred)
	}
	if err := m.Guard(func() error { return nil }); err != nil {
		t.Errorf("%v", err)
	}
}

// A text file is read while it is opened; so that is guarded too.
func TestGuardOpen(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("a mapped file cannot be made shorter there")
	}
	path := write(t, "ram", make([]byte, 1<<20))
	c, err := load(path, Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer c.close()
	if err := os.Truncate(path, 0); err != nil {
		t.Fatal(err)
	}
	if err := guard([]content{c}, func() error { _, err := decode("x", c.bytes, Options{}); return err }); !errors.Is(err, ErrShrunk) {
		t.Errorf("%v", err)
	}
}

// Where the trailer claims too little, what comes is counted before memory is
// taken for it: growing would take several times as much.
func TestGzipClaimsTooLittle(t *testing.T) {
	const size = 32 << 20
	b := packed(make([]byte, size))
	copy(b[len(b)-4:], "\xe8\x03\x00\x00")
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	m := must(t, b, Options{})
	runtime.ReadMemStats(&after)
	if n := after.TotalAlloc - before.TotalAlloc; n > size+4<<20 {
		t.Errorf("%d bytes allocated", n)
	}
	if m.Size() != size || m.Partial() == "" {
		t.Errorf("%d bytes, partial %q", m.Size(), m.Partial())
	}
}

// Of a packed file nothing may be left but the bytes that tell what it was.
func TestGzipOfFewBytes(t *testing.T) {
	for n := 2; n < 20; n++ {
		head := []byte("\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03\x01\x00\x00\xff\xff\x00\x00\x00\x00\x00")[:n]
		m, err := Read("x.gz", bytes.NewReader(head), Options{})
		if err == nil {
			m.Close()
		}
	}
}
