// The application of the cluster's cases, and the process that keeps a pod's namespaces. Must never
// know of meshes.
//
//	app serve ADDR:PORT        answers / after ?ms= milliseconds, /healthz at once; ends at SIGTERM,
//	                           whatever is in flight
//	app load URL EVERY         asks each EVERY (of Go's durations) until SIGTERM, then says how each
//	                           request ended, as JSON
//	app stop                   sends SIGTERM to the first process of its container
//	app end CODE|signal        ends by this code, or by SIGKILL
//	app stay SECONDS           names the first stop signal it gets, and ends so many seconds later
//	app pause                  waits for SIGTERM and reaps
package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/signal"
	"strconv"
	"sync"
	"syscall"
	"time"
)

func main() {
	if len(os.Args) < 2 {
		fail(errors.New("which of serve, load, stop, end, stay, pause?"))
	}
	var err error
	switch args := os.Args[2:]; os.Args[1] {
	case "serve":
		err = serve(args[0])
	case "load":
		err = load(args[0], args[1])
	case "stop":
		err = syscall.Kill(1, syscall.SIGTERM)
	case "end":
		err = end(args[0])
	case "stay":
		err = stay(args[0])
	case "pause":
		pause()
	default:
		err = fmt.Errorf("unknown: %s", os.Args[1])
	}
	if err != nil {
		fail(err)
	}
}

func fail(err error) {
	fmt.Fprintln(os.Stderr, "app:", err)
	os.Exit(1)
}

func stopped() <-chan os.Signal {
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGUSR1, syscall.SIGWINCH)
	return signals
}

func serve(address string) error {
	http.HandleFunc("/healthz", func(w http.ResponseWriter, _ *http.Request) {
		io.WriteString(w, "ok\n")
	})
	http.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		ms, _ := strconv.Atoi(r.URL.Query().Get("ms"))
		time.Sleep(time.Duration(ms) * time.Millisecond)
		io.WriteString(w, "hello\n")
	})
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return err
	}
	fmt.Println("app: listening on", listener.Addr())
	go http.Serve(listener, nil)
	<-stopped()
	return nil
}

func load(url, every string) error {
	period, err := time.ParseDuration(every)
	if err != nil {
		return err
	}
	client := &http.Client{
		Timeout: 20 * time.Second, Transport: &http.Transport{MaxIdleConnsPerHost: 64},
	}
	ended := map[string]int{}
	var mutex sync.Mutex
	var asked sync.WaitGroup
	ask := func() {
		defer asked.Done()
		how := "error"
		if answer, err := client.Get(url); err == nil {
			how = strconv.Itoa(answer.StatusCode)
			if _, err := io.Copy(io.Discard, answer.Body); err != nil {
				how = "cut"
			}
			answer.Body.Close()
		}
		mutex.Lock()
		defer mutex.Unlock()
		ended[how]++
		if how == "200" && ended[how] == 1 {
			fmt.Println("app: answered")
		}
	}
	stop := stopped()
	for ticks := time.Tick(period); ; {
		select {
		case <-stop:
			asked.Wait()
			return json.NewEncoder(os.Stdout).Encode(ended)
		case <-ticks:
			asked.Add(1)
			go ask()
		}
	}
}

func end(how string) error {
	if how == "signal" {
		if err := syscall.Kill(os.Getpid(), syscall.SIGKILL); err != nil {
			return err
		}
		select {}
	}
	code, err := strconv.Atoi(how)
	if err != nil {
		return err
	}
	os.Exit(code)
	return nil
}

func stay(seconds string) error {
	number, err := strconv.Atoi(seconds)
	if err != nil {
		return err
	}
	stop := stopped()
	fmt.Println("app: up")
	fmt.Println("app: got", <-stop)
	time.Sleep(time.Duration(number) * time.Second)
	return nil
}

func pause() {
	signals := make(chan os.Signal, 16)
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGINT, syscall.SIGCHLD)
	for got := range signals {
		if got != syscall.SIGCHLD {
			return
		}
		for {
			if pid, err := syscall.Wait4(-1, nil, syscall.WNOHANG, nil); err != nil || pid <= 0 {
				break
			}
		}
	}
}
