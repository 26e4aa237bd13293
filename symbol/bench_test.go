package symbol

import (
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/heapwright/heapwright/heap"
)

// unitSource writes a compilation unit as firmware has them: types, small
// inline functions, and functions that they are inlined into.
func unitSource(rng *rand.Rand, functions int) string {
	var b strings.Builder
	b.WriteString("typedef unsigned int u32;\nextern volatile u32 device[64];\n")
	for i := range 30 {
		fmt.Fprintf(&b, "struct record%d { u32 a, b[%d]; struct record%d *next; void (*done)(struct record%d *, int); enum { R%d_IDLE, R%d_BUSY, R%d_DONE } state; };\n", i, i+1, i, i, i, i, i)
	}
	for i := range 12 {
		fmt.Fprintf(&b, "static inline u32 step%d(u32 x, struct record%d *r)\n{\n\tu32 y = x * %du;\n\tif (y > r->a)\n\t\ty -= r->b[%d];\n", i, i, rng.Uint32(), rng.IntN(i+1))
		if i > 0 {
			fmt.Fprintf(&b, "\tif (x & %d)\n\t\ty += step%d(x >> 3, (struct record%d *)r->next);\n", 1<<rng.IntN(8), i-1, i-1)
		}
		b.WriteString("\treturn y ^ device[y & 63];\n}\n")
	}
	for i := range functions {
		n := rng.IntN(12)
		fmt.Fprintf(&b, "u32 work%d(struct record%d *r, u32 n)\n{\n\tu32 sum = %d;\n\tfor (u32 i = 0; i < n; i++) {\n\t\tu32 v = device[i & 63];\n", i, n, rng.Uint32()>>1)
		fmt.Fprintf(&b, "\t\tsum += step%d(v, r);\n\t\tif (sum & %d)\n\t\t\tr->a = sum / (v | 1);\n\t\tr = r->next;\n\t}\n", n, 1<<rng.IntN(10))
		if i > 0 {
			fmt.Fprintf(&b, "\tif (sum > 9)\n\t\treturn work%d((void *)r, sum);\n", rng.IntN(i))
		}
		b.WriteString("\treturn sum;\n}\n")
	}
	return b.String()
}

// largeFirmware links a Cortex-M program of 560 compilation units and about 15
// MB. Few of them are compiled; the others are copies with symbols of their own.
func largeFirmware(b *testing.B) string {
	b.Helper()
	gcc := tool(b, "arm-none-eabi-gcc", "gcc-arm-none-eabi")
	objcopy := tool(b, "arm-none-eabi-objcopy", "binutils-arm-none-eabi")
	dir := b.TempDir()
	rng := rand.New(rand.NewPCG(1, 2))
	var objects strings.Builder
	const compiled, copies = 14, 40
	for i := range compiled {
		source := filepath.Join(dir, fmt.Sprintf("unit%d.c", i))
		if err := os.WriteFile(source, []byte(unitSource(rng, 7)), 0o600); err != nil {
			b.Fatal(err)
		}
		object := source + ".o"
		execute(b, gcc, "-mcpu=cortex-m4", "-mthumb", "-O2", "-gdwarf-4", "-ffunction-sections", "-c", "-o", object, source)
		for j := range copies {
			to := fmt.Sprintf("%s.%d.o", object, j)
			execute(b, objcopy, fmt.Sprintf("--prefix-symbols=u%d_%d_", i, j), object, to)
			fmt.Fprintln(&objects, to)
		}
	}
	list := filepath.Join(dir, "objects")
	if err := os.WriteFile(list, []byte(objects.String()), 0o600); err != nil {
		b.Fatal(err)
	}
	file := filepath.Join(dir, "large.elf")
	execute(b, gcc, "-mcpu=cortex-m4", "-mthumb", "-nostdlib", "-Wl,-e,0", "-Wl,--unresolved-symbols=ignore-all", "-o", file, "@"+list)
	return file
}

// BenchmarkFirmware opens a large program and resolves 20,000 random addresses
// of its code, each in a table that was just opened, and compares with
// addr2line as a process that does the same.
func BenchmarkFirmware(b *testing.B) {
	program := tool(b, "arm-none-eabi-addr2line", "binutils-arm-none-eabi")
	file := largeFirmware(b)
	st, err := os.Stat(file)
	if err != nil {
		b.Fatal(err)
	}
	rng := rand.New(rand.NewPCG(3, 4))
	code := codeAddresses(b, file, 2)
	addresses := make([]uint64, 20000)
	for i := range addresses {
		addresses[i] = code[rng.IntN(len(code))]
	}
	tab, err := Open(file)
	if err != nil {
		b.Fatal(err)
	}
	b.Logf("%.1f MB, %d units, %d functions, %d bytes of code", float64(st.Size())/1e6, len(tab.debug.units), tab.Len(), 2*len(code))
	a := compare(b, program, file, tab, addresses, 0)
	b.Logf("addr2line: %v", a)

	b.Run("step=open", func(b *testing.B) {
		defer reportCPU(b, cpuTime())
		for b.Loop() {
			if _, err := Open(file); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("step=cold", func(b *testing.B) { // and opening, in cpu-ms
		defer reportCPU(b, cpuTime())
		var spent time.Duration
		for b.Loop() {
			b.StopTimer()
			tab, err := Open(file)
			if err != nil {
				b.Fatal(err)
			}
			b.StartTimer()
			start := time.Now()
			for _, pc := range addresses {
				tab.Frames(heap.Addr(pc + 2))
			}
			spent += time.Since(start)
		}
		b.ReportMetric(float64(spent.Nanoseconds())/float64(b.N)/float64(len(addresses)), "ns/address")
	})
	b.Run("step=warm", func(b *testing.B) {
		for _, pc := range addresses {
			tab.Frames(heap.Addr(pc + 2))
		}
		b.ResetTimer()
		for i := 0; b.Loop(); i++ {
			tab.Frames(heap.Addr(addresses[i%len(addresses)] + 2))
		}
	})
	b.Run("step=memory", func(b *testing.B) {
		var before, after runtime.MemStats
		for b.Loop() {
			runtime.GC()
			runtime.ReadMemStats(&before)
			tab, err := Open(file)
			if err != nil {
				b.Fatal(err)
			}
			for _, pc := range addresses {
				tab.Frames(heap.Addr(pc + 2))
			}
			runtime.GC()
			runtime.ReadMemStats(&after)
			runtime.KeepAlive(tab)
		}
		b.ReportMetric(float64(int64(after.HeapAlloc)-int64(before.HeapAlloc))/1e6, "MB-held")
	})
	b.Run("step=both", func(b *testing.B) {
		var ours, theirs time.Duration
		var peak int64
		for b.Loop() {
			start := time.Now()
			tab, err := Open(file)
			if err != nil {
				b.Fatal(err)
			}
			for _, pc := range addresses {
				tab.Frames(heap.Addr(pc + 2))
			}
			ours += time.Since(start)
			start = time.Now()
			_, peak = runAddr2line(b, program, file, addresses)
			theirs += time.Since(start)
		}
		b.ReportMetric(float64(ours.Milliseconds())/float64(b.N), "ms-ours")
		b.ReportMetric(float64(theirs.Milliseconds())/float64(b.N), "ms-addr2line")
		b.ReportMetric(float64(theirs)/float64(ours), "times-faster")
		b.ReportMetric(float64(peak)/1e6, "MB-addr2line")
	})
}

// reportCPU tells the time the processors spent on each iteration, which does
// not depend on what else the machine does.
func reportCPU(b *testing.B, since time.Duration) {
	b.ReportMetric(float64((cpuTime()-since).Microseconds())/1e3/float64(b.N), "cpu-ms")
}

// runAddr2line returns what addr2line prints and its largest resident set in
// bytes, 0 if the system does not tell.
func runAddr2line(t testing.TB, program, file string, addresses []uint64) (out []byte, peak int64) {
	t.Helper()
	var in strings.Builder
	for _, a := range addresses {
		fmt.Fprintf(&in, "%#x\n", a)
	}
	cmd := exec.Command(program, "-a", "-f", "-i", "-e", file)
	cmd.Stdin = strings.NewReader(in.String())
	cmd.Env = append(os.Environ(), "LC_ALL=C")
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s: %v", cmd, err)
	}
	return out, peakRSS(cmd.ProcessState)
}
