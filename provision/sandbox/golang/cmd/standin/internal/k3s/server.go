package k3s

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/signal"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"k8s.io/client-go/tools/clientcmd"

	"elysium.invalid/sandbox/cmd/standin/internal/agent"
	"elysium.invalid/sandbox/cmd/standin/internal/footprint"
	"elysium.invalid/sandbox/cmd/standin/internal/spawn"
)

// grace is how long a component may take to end. The components of k3s end
// with its process, so a short one is true to it; SQLite's log keeps what was
// committed.
const grace = time.Second

// k3s says READY before its kubelet runs, and before its own API answers.
const (
	kubeletAfter = time.Second
	coreAfter    = 2 * time.Second
)

// serve runs a server until it is told to stop or a component ends.
func serve(args []string, version string) error {
	found, err := readSettings(args, os.Getenv)
	if err != nil {
		return err
	}
	for _, warning := range found.warnings {
		logf("%s", warning)
	}
	hostname, err := os.Hostname()
	if err != nil {
		return err
	}
	o, err := resolve(found, hostname, hostIP)
	if err != nil {
		return err
	}
	logf("Starting k3s %s: the elysium sandbox stand-in, %s", version, madeOf(o.etcd))
	password, err := startPassword(o)
	if err != nil {
		return err
	}
	if err := folders(o); err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	server := &server{options: o, spawner: spawn.New(), ended: make(chan *spawn.Child, 8)}
	defer server.stop()
	if found.enabled("cluster-reset") {
		err = server.clusterReset(ctx, found.text("cluster-reset-restore-path", ""), password)
	} else {
		err = server.run(ctx, version, password)
	}
	if ctx.Err() != nil {
		logf("Stopping")
		return nil
	}
	return err
}

// server holds the running components.
type server struct {
	options  *options
	spawner  *spawn.Spawner
	mutex    sync.Mutex
	children []*spawn.Child
	front    *http.Server
	ended    chan *spawn.Child
}

// run starts the components in order and returns when one of them ends, the
// agent fails, or ctx is done.
func (s *server) run(ctx context.Context, version, password string) error {
	ctx, cancel := s.watched(ctx)
	defer cancel(nil)
	begun := time.Now()
	left := s.footprint(version)
	if err := s.state(ctx, password); err != nil {
		return cause(ctx, err)
	}
	if err := s.start("kube-apiserver", apiserverArgs(s.options)); err != nil {
		return err
	}
	config, err := clientcmd.BuildConfigFromFlags("", s.options.at("cred", "admin.kubeconfig"))
	if err != nil {
		return err
	}
	if err := awaitReady(ctx, config); err != nil {
		return cause(ctx, err)
	}
	logf("The API server is ready after %.1f s", time.Since(begun).Seconds())
	if err := s.start("kube-controller-manager", controllerManagerArgs(s.options)); err != nil {
		return err
	}
	if err := agent.Publish(ctx, config, s.node()); err != nil {
		return cause(ctx, err)
	}
	if err := addBuiltins(ctx, config, s.options); err != nil {
		return cause(ctx, err)
	}
	var core atomic.Bool
	if s.front, err = openFront(s.options, s.keep, core.Load); err != nil {
		return err
	}
	if err := notify("READY=1"); err != nil {
		return err
	}
	logf("k3s is up and running")
	defer time.AfterFunc(coreAfter, func() { core.Store(true) }).Stop()
	if !s.options.agent {
		<-ctx.Done()
		return cause(ctx, nil)
	}
	select {
	case <-ctx.Done():
		return cause(ctx, nil)
	case <-time.After(kubeletAfter):
	}
	if end, err := s.options.agentEnds(); end {
		return err
	}
	if err := <-left; err != nil {
		return err
	}
	runtime, err := s.options.containerd()
	if err != nil {
		return err
	}
	err = agent.Prove(ctx, config, s.options.nodeName, s.options.wasReset)
	if err != nil {
		return cause(ctx, err)
	}
	if err := s.runNode(ctx, runtime, version); err != nil {
		return cause(ctx, err)
	}
	err = agent.Run(ctx, config, s.node())
	return cause(ctx, err)
}

// node is this machine.
func (s *server) node() agent.Node {
	return agent.Node{
		Name:   s.options.nodeName,
		IP:     s.options.nodeIP,
		Port:   s.options.port,
		Labels: s.options.labels,
	}
}

// footprint leaves on the machine what an agent of k3s leaves there, meanwhile;
// the channel gets the error.
func (s *server) footprint(version string) <-chan error {
	done := make(chan error, 1)
	if !s.options.agent {
		return done
	}
	go func() { done <- footprint.Leave(s.options.dataDir, version, logf) }()
	return done
}

// watched is ctx until a component ends.
func (s *server) watched(ctx context.Context) (context.Context, context.CancelCauseFunc) {
	ctx, cancel := context.WithCancelCause(ctx)
	go func() {
		select {
		case child := <-s.ended:
			cancel(fmt.Errorf("%s ended: %v", child.Name, child.Err))
		case <-ctx.Done():
		}
	}()
	return ctx, cancel
}

// keep is saveBootstrap on the running datastore, which answers at once or not
// at all.
func (s *server) keep(ctx context.Context, password string) error {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	return saveBootstrap(ctx, s.options, password)
}

// state starts the datastore and makes what is on the disk agree with it.
func (s *server) state(ctx context.Context, password string) error {
	if err := s.datastore(ctx); err != nil {
		return err
	}
	known, err := loadBootstrap(ctx, s.options, password)
	if err != nil {
		return err
	}
	s.options.known = known
	changed := exists(savedAuthority(s.options))
	if err := restoreAuthority(s.options); err != nil {
		return err
	}
	if err := prepare(s.options, password); err != nil {
		return err
	}
	s.options.wasReset = exists(s.options.resetFlag())
	if !known || changed {
		if err := saveBootstrap(ctx, s.options, password); err != nil {
			return err
		}
	}
	for _, done := range []string{savedAuthority(s.options), s.options.resetFlag()} {
		if err := os.Remove(done); err != nil && !os.IsNotExist(err) {
			return err
		}
	}
	return nil
}

func (s *server) start(name string, args []string) error {
	return s.startWith(name, args)
}

// stop ends the components, the datastore last.
func (s *server) stop() {
	if s.front != nil {
		_ = s.front.Close()
	}
	var rest sync.WaitGroup
	for i := len(s.children) - 1; i >= 0; i-- {
		if i == 0 {
			rest.Wait()
		}
		rest.Add(1)
		go func(child *spawn.Child) {
			defer rest.Done()
			child.Stop(grace)
		}(s.children[i])
	}
	rest.Wait()
}

// cause is what ended ctx, when something did, else err.
func cause(ctx context.Context, err error) error {
	if why := context.Cause(ctx); why != nil && !errors.Is(why, context.Canceled) {
		return why
	}
	return err
}

func awaitSocket(ctx context.Context, path string) error {
	for {
		if connection, err := net.Dial("unix", path); err == nil {
			return connection.Close()
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(10 * time.Millisecond):
		}
	}
}

// notify tells systemd the state of a unit of type notify (sd_notify(3)).
func notify(state string) error {
	path := os.Getenv("NOTIFY_SOCKET")
	if path == "" {
		return nil
	}
	if strings.HasPrefix(path, "@") {
		path = "\x00" + path[1:]
	}
	connection, err := net.Dial("unixgram", path)
	if err != nil {
		return fmt.Errorf("tell systemd: %w", err)
	}
	defer connection.Close()
	_, err = connection.Write([]byte(state))
	return err
}

func logf(format string, values ...any) {
	fmt.Fprintf(os.Stderr, "k3s: "+format+"\n", values...)
}
