// The jobs of the benchmark in Go: one line "<job> <n>" on stdin runs it once and answers with
// "<create> <bytes> <join>", in ns, bytes and ns for each goroutine.
package main

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"runtime"
	"sync"
	"time"
)

func trivial() int { return 1 }

func waitGroup(n int) {
	var wg sync.WaitGroup
	wg.Add(n)
	for i := 0; i < n; i++ {
		go func() { defer wg.Done(); trivial() }()
	}
	wg.Wait()
}

func withCancel(n int) {
	root, stop := context.WithCancel(context.Background())
	defer stop()
	var wg sync.WaitGroup
	wg.Add(n)
	for i := 0; i < n; i++ {
		_, cancel := context.WithCancel(root)
		go func() { defer wg.Done(); defer cancel(); trivial() }()
	}
	wg.Wait()
}

func inUse() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapInuse + m.StackInuse
}

// suspended starts n goroutines that wait for their own context, then cancels the root and waits for them.
func suspended(n int) (create, bytes, join float64) {
	before := inUse()
	root, stop := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Add(n)
	start := time.Now()
	for i := 0; i < n; i++ {
		ctx, cancel := context.WithCancel(root)
		go func() { defer wg.Done(); defer cancel(); <-ctx.Done() }()
	}
	create = float64(time.Since(start).Nanoseconds()) / float64(n)
	time.Sleep(50 * time.Millisecond)
	bytes = (float64(inUse()) - float64(before)) / float64(n)
	start = time.Now()
	stop()
	wg.Wait()
	join = float64(time.Since(start).Nanoseconds()) / float64(n)
	return
}

func main() {
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		var job string
		var n int
		if _, err := fmt.Sscanf(lines.Text(), "%s %d", &job, &n); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(2)
		}
		if job == "suspended" {
			create, bytes, join := suspended(n)
			fmt.Println(create, bytes, join)
			continue
		}
		start := time.Now()
		if job == "withCancel" {
			withCancel(n)
		} else {
			waitGroup(n)
		}
		fmt.Println(float64(time.Since(start).Nanoseconds())/float64(n), 0, 0)
	}
}
