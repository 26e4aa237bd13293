package main

import (
	"bytes"
	"io"
	"os"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/spf13/cobra"
)

// rows returns so many bytes of a console log.
func rows(n int) []byte {
	return bytes.Repeat([]byte("0x00056bac:  0x00011ea0  0x00021744  0x000113dc\r\n"), n/40+1)[:n]
}

func TestIsMemory(t *testing.T) {
	const n = 3 * sampleSize
	garbage := noise(n)
	for name, c := range map[string]struct {
		b    []byte
		want bool
	}{
		"nothing":                    {nil, false},
		"a word":                     {[]byte("hello"), false},
		"a log":                      {rows(n), false},
		"other scripts":              {[]byte(strings.Repeat("设备重新启动，内存不足\n", 500)), false},
		"colours":                    {bytes.Repeat([]byte("\x1b[31mE (10)\x1b[0m no memory\n"), 500), false},
		"one endless line":           {bytes.Repeat([]byte("0aZ9~!bC"), n/8), false},
		"garbage while it boots":     {append(garbage[:n/2:n/2], rows(n/2)...), false},
		"NULs in front":              {append(make([]byte, 4096), rows(n/2)...), false},
		"UTF-16":                     {[]byte("\xff\xfen\x00o\x00d\x00e\x00"), false},
		"a program":                  {append([]byte("\x7fELF\x01\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00"), garbage...), false},
		"a core":                     {append([]byte("\x7fELF\x01\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x04\x00"), garbage...), true},
		"Intel HEX":                  {[]byte(":1001000000000000000000000000000000000000EF\n:00000001FF\n"), true},
		"noise":                      {garbage, true},
		"zeroes":                     {make([]byte, n), true},
		"ones":                       {bytes.Repeat([]byte{0xff}, n), true},
		"a letter":                   {bytes.Repeat([]byte{'A'}, n), true},
		"names between NULs":         {bytes.Repeat([]byte("LOS_MemAlloc\x00%s: %d\n\x00\x00\x00\x10\x80\x00\x00\x07\x00\x00\x00\x01\x00\x00\x00"), 500), true},
		"a buffer of text in memory": {append(garbage[:sampleSize:sampleSize], append(make([]byte, sampleSize), rows(sampleSize/2)...)...), true},
	} {
		samples := [][]byte{c.b[:min(len(c.b), sampleSize)]}
		for at := sampleSize; at < len(c.b); at += sampleSize {
			samples = append(samples, c.b[at:min(len(c.b), at+sampleSize)])
		}
		if got := isMemory(samples...); got != c.want {
			t.Errorf("%s: memory %v", name, got)
		}
	}
}

// A stream is told from its beginning, which is not lost; of a console that is
// being read no more than a line is waited for.
func TestSourceOfStream(t *testing.T) {
	for name, c := range map[string]struct {
		r    io.Reader
		want bool
	}{
		"log, byte by byte": {iotest.OneByteReader(bytes.NewReader(rows(5000))), false},
		"memory":            {iotest.OneByteReader(bytes.NewReader(noise(5000))), true},
		"console":           {io.MultiReader(strings.NewReader("boot\r\n"), readerFunc(func([]byte) (int, error) { panic("waits for more") })), false},
	} {
		cmd := &cobra.Command{}
		cmd.SetContext(t.Context())
		cmd.SetIn(c.r)
		var in input
		s, err := in.source(cmd, "-")
		if err != nil {
			t.Fatal(err)
		}
		if s.memory != c.want {
			t.Errorf("%s: memory %v", name, s.memory)
		}
		if name != "console" {
			if b, err := io.ReadAll(s.r); err != nil || len(b) != 5000 {
				t.Errorf("%s: %d bytes, %v", name, len(b), err)
			}
		}
		s.close()
	}
}

func TestPieces(t *testing.T) {
	t.Chdir(t.TempDir())
	if err := os.WriteFile("a,b@0x10", nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for source, want := range map[string]string{
		"ram.bin":                  "ram.bin",
		"core,sram.bin@0x20000000": "core sram.bin",
		"ram.bin@0x80000000":       "ram.bin",
		"me@home":                  "me@home",
		"a,b@0x10":                 "a,b@0x10", // there is such a file
	} {
		if got := strings.Join(inputFiles([]string{source}), " "); got != want {
			t.Errorf("%s: %s", source, got)
		}
	}
}

func TestAddress(t *testing.T) {
	for s, want := range map[string]string{
		"0x80000000": "0x80000000", "0XFF": "0xff", "0": "0x0", "0xffff_0000": "0xffff0000",
		"80000000": "error", "": "error", "0x": "error", "0x10000000000000000": "error", "-0x1": "error",
	} {
		var a address
		got := "error"
		if a.Set(s) == nil {
			got = a.String()
		}
		if got != want {
			t.Errorf("%q: %s, want %s", s, got, want)
		}
	}
}

func FuzzIsMemory(f *testing.F) {
	f.Add([]byte("hello\n"))
	f.Add(noise(100))
	f.Fuzz(func(t *testing.T, b []byte) {
		isMemory(b)
		if n := linesOfText(b); n < 0 || n > len(b) {
			t.Errorf("%d of %d bytes", n, len(b))
		}
	})
}
