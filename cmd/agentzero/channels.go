package main

import (
	"errors"
	"slices"

	"agentzero/actors"
	"agentzero/channels"
	"agentzero/config"
)

// newChannel makes the channel of a name of the configuration.
func newChannel(name string, c config.Channel) (*channels.Channel, error) {
	return channels.New(channels.Settings{
		Name: name, Kind: channels.Kind(c.Kind), Secret: c.Secret.Reveal(), PublicKey: c.PublicKey, Token: c.Token.Reveal(), APIURL: c.APIURL,
		Text: c.Text, Prompt: c.Prompt, SessionKey: c.SessionKey, DeliveryID: c.DeliveryID, Events: c.Events, Tolerance: c.Tolerance,
		SignatureHeader: c.SignatureHeader, SignaturePrefix: c.SignaturePrefix, SignatureEncoding: c.SignatureEncoding, TimestampHeader: c.TimestampHeader,
		Reply: c.Reply, ReplyURL: c.ReplyURL, ReplySecret: c.ReplySecret.Reveal(), NoStream: !c.Stream, AllowPrivate: c.AllowPrivate,
	})
}

// channelOptions are the channels of the configuration, by their names. Its error
// tells all that is wrong with them, each with its place.
func channelOptions(c *config.Config) ([]actors.ChannelOptions, error) {
	var list []actors.ChannelOptions
	var faults config.Errors
	for _, name := range channelNames(c) {
		settings := c.Channels[name]
		channel, err := newChannel(name, settings)
		var wrong *channels.SettingError
		switch {
		case errors.As(err, &wrong):
			faults = append(faults, c.Fault("channels."+name+"."+wrong.Key, wrong.Message))
			continue
		case err != nil:
			return nil, err
		}
		list = append(list, actors.ChannelOptions{
			Channel: channel, Model: settings.Model, Concurrency: settings.Concurrency, QueueLimit: settings.QueueLimit,
			MaxTries: settings.MaxTries, ReplyTries: settings.ReplyTries, Backoff: settings.Backoff, KeepFor: settings.KeepFor, Keep: settings.Keep,
		})
	}
	if faults != nil {
		return nil, faults
	}
	return list, nil
}

func channelNames(c *config.Config) []string {
	names := make([]string, 0, len(c.Channels))
	for name := range c.Channels {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}
