package console

import (
	"bytes"
	"testing"
)

// BenchmarkReports reads the lines of a real log that are no rows and no report:
// the cost that reports add to every other line.
func BenchmarkReports(b *testing.B) {
	var lines [][]byte
	size := 0
	for line := range bytes.Lines(testdata(b, "leak-series.log")) {
		if !bytes.HasPrefix(line, []byte("0x")) {
			lines = append(lines, bytes.TrimSuffix(line, []byte("\n")))
			size += len(line)
		}
	}
	b.SetBytes(int64(size))
	r := newLiteosReports("log", nil)
	for b.Loop() {
		for i, line := range lines {
			r.line(line, i)
		}
	}
}
