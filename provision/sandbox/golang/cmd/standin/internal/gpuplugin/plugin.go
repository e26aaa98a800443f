// Package gpuplugin stands in for Intel's GPU device plugin: it tells the kubelet
// of the machine's render nodes and has their device files given to containers
// (https://kubernetes.io/docs/concepts/extend-kubernetes/compute-storage-net/device-plugins/).
package gpuplugin

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	plugin "k8s.io/kubelet/pkg/apis/deviceplugin/v1beta1"
)

const (
	deviceFolder = "/dev/dri"
	sysfs        = "/sys/class/drm"
	// again is how often the kubelet is looked at: one that starts anew has
	// forgotten its plugins, and has made another socket.
	again = time.Second
)

// Main runs the plugin.
func Main(_ string, args []string) error {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	name := resourceName(sysfs)
	socket := filepath.Join(plugin.DevicePluginPath, strings.ReplaceAll(name, "/", "-")+".sock")
	for ctx.Err() == nil {
		before, err := os.Stat(plugin.KubeletSocket)
		if err == nil {
			err = serve(ctx, name, socket, sharedDevices(args), before)
		}
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
		}
		select {
		case <-ctx.Done():
		case <-time.After(again):
		}
	}
	return nil
}

// serve serves one kubelet, the one whose socket is before, until it is gone.
func serve(ctx context.Context, name, socket string, shares int, before os.FileInfo) error {
	if err := os.Remove(socket); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	listener, err := net.Listen("unix", socket)
	if err != nil {
		return err
	}
	server := grpc.NewServer()
	defer server.Stop()
	plugin.RegisterDevicePluginServer(server, &service{shares: shares})
	go func() { _ = server.Serve(listener) }()
	if err := register(ctx, name, filepath.Base(socket)); err != nil {
		return err
	}
	fmt.Printf("registered %s, a render node for %d containers\n", name, shares)
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(again):
		}
		if another(before, plugin.KubeletSocket, socket) {
			return nil
		}
	}
}

// another says whether the kubelet whose socket was before has ended or been
// replaced. One that starts removes the sockets of all plugins, and its own may
// get the same inode again.
func another(before os.FileInfo, kubelet, own string) bool {
	now, err := os.Stat(kubelet)
	if err != nil || !os.SameFile(before, now) || !before.ModTime().Equal(now.ModTime()) {
		return true
	}
	_, err = os.Stat(own)
	return err != nil
}

func register(ctx context.Context, name, endpoint string) error {
	connection, err := grpc.NewClient("unix://"+plugin.KubeletSocket, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		return err
	}
	defer connection.Close()
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	_, err = plugin.NewRegistrationClient(connection).Register(ctx, &plugin.RegisterRequest{
		Version: plugin.Version, Endpoint: endpoint, ResourceName: name, Options: &plugin.DevicePluginOptions{},
	})
	return err
}

type service struct {
	plugin.UnimplementedDevicePluginServer
	shares int
}

func (s *service) GetDevicePluginOptions(context.Context, *plugin.Empty) (*plugin.DevicePluginOptions, error) {
	return &plugin.DevicePluginOptions{}, nil
}

// ListAndWatch says which devices there are, again when that changes.
func (s *service) ListAndWatch(_ *plugin.Empty, stream grpc.ServerStreamingServer[plugin.ListAndWatchResponse]) error {
	said := -1
	for {
		found, err := devices(deviceFolder, s.shares)
		if err != nil {
			return err
		}
		if len(found) != said {
			if err := stream.Send(&plugin.ListAndWatchResponse{Devices: found}); err != nil {
				return err
			}
			said = len(found)
		}
		select {
		case <-stream.Context().Done():
			return nil
		case <-time.After(5 * again):
		}
	}
}

// Allocate names the device files of each container.
func (s *service) Allocate(_ context.Context, request *plugin.AllocateRequest) (*plugin.AllocateResponse, error) {
	response := &plugin.AllocateResponse{}
	for _, container := range request.ContainerRequests {
		answer := &plugin.ContainerAllocateResponse{}
		given := map[string]bool{}
		for _, id := range container.DevicesIds {
			specs, err := files(deviceFolder, id)
			if err != nil {
				return nil, err
			}
			for _, spec := range specs {
				if !given[spec.HostPath] {
					given[spec.HostPath] = true
					answer.Devices = append(answer.Devices, spec)
				}
			}
		}
		response.ContainerResponses = append(response.ContainerResponses, answer)
	}
	return response, nil
}
