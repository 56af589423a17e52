// Runs one call of Tailscale's official API client and prints what came of it as JSON:
//
//	api-client URL CREDENTIAL TAILNET CALL [ARGUMENTS]
//
// CREDENTIAL is an access token, or "ID:SECRET" of an OAuth client. TAILNET is "-" for the credential's own.
// ARGUMENTS is a JSON object. It prints {"result": …}, or {"error": {"status", "message", "data"}}.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	tailscale "tailscale.com/client/tailscale/v2"
)

type arguments struct {
	ID            string
	Name          string
	Text          string
	ETag          string
	URL           string
	Description   string
	Key           string
	Value         any
	On            bool
	Reusable      bool
	Ephemeral     bool
	Preauthorized bool
	Seconds       int64
	List          []string
	Scopes        []string
	Tags          []string
	Split         map[string][]string
	ACL           *tailscale.ACL
	Settings      tailscale.UpdateTailnetSettingsRequest
	DNS           tailscale.DNSConfiguration
}

type call func(ctx context.Context, c *tailscale.Client, a arguments) (any, error)

func none(err error) (any, error) { return nil, err }

func subscriptions(names []string) []tailscale.WebhookSubscriptionType {
	all := make([]tailscale.WebhookSubscriptionType, len(names))
	for i, name := range names {
		all[i] = tailscale.WebhookSubscriptionType(name)
	}
	return all
}

var calls = map[string]call{
	"tailnets.create": func(ctx context.Context, c *tailscale.Client, a arguments) (any, error) {
		return c.Tailnets().Create(ctx, tailscale.CreateTailnetRequest{DisplayName: a.Name})
	},
	"tailnets.list": func(ctx context.Context, c *tailscale.Client, _ arguments) (any, error) {
		return c.Tailnets().List(ctx)
	},
	"tailnets.delete": func(ctx context.Context, c *tailscale.Client, _ arguments) (any, error) {
		return none(c.Tailnets().Delete(ctx))
	},
	"keys.create": func(ctx context.Context, c *tailscale.Client, a arguments) (any, error) {
		request := tailscale.CreateKeyRequest{ExpirySeconds: a.Seconds, Description: a.Description}
		create := &request.Capabilities.Devices.Create
		create.Reusable, create.Ephemeral, create.Preauthorized, create.Tags = a.Reusable, a.Ephemeral, a.Preauthorized, a.Tags
		return c.Keys().CreateAuthKey(ctx, request)
	},
	"keys.createClient": func(ctx context.Context, c *tailscale.Client, a arguments) (any, error) {
		return c.Keys().CreateOAuthClient(ctx, tailscale.CreateOAuthClientRequest{
			Scopes: a.Scopes, Tags: a.Tags, Description: a.Description,
		})
	},
	"keys.setClient": func(ctx context.Context, c *tailscale.Client, a arguments) (any, error) {
		return c.Keys().SetOAuthClient(ctx, a.ID, tailscale.SetOAuthClientRequest{
			Scopes: a.Scopes, Tags: a.Tags, Description: a.Description,
		})
	},
	"keys.get": func(ctx context.Context, c *tailscale.Client, a arguments) (any, error) {
		return c.Keys().Get(ctx, a.ID)
	},
	"keys.list": func(ctx context.Context, c *tailscale.Client, _ arguments) (any, error) {
		return c.Keys().List(ctx, true)
	},
	"keys.delete": func(ctx context.Context, c *tailscale.Client, a arguments) (any, error) {
		return none(c.Keys().Delete(ctx, a.ID))
	},
	"devices.list": func(ctx context.Context, c *tailscale.Client, _ arguments) (any, error) {
		return c.Devices().List(ctx, tailscale.WithFields(tailscale.IncludeFieldsAll))
	},
	"devices.get": func(ctx context.Context, c *tailscale.Client, a arguments) (any, error) {
		return c.Devices().GetWithAllFields(ctx, a.ID)
	},
	"devices.authorize": func(ctx context.Context, c *tailscale.Client, a arguments) (any, error) {
		return none(c.Devices().SetAuthorized(ctx, a.ID, a.On))
	},
	"devices.rename": func(ctx context.Context, c *tailscale.Client, a arguments) (any, error) {
		return none(c.Devices().SetName(ctx, a.ID, a.Name))
	},
	"devices.tag": func(ctx context.Context, c *tailscale.Client, a arguments) (any, error) {
		return none(c.Devices().SetTags(ctx, a.ID, a.Tags))
	},
	"devices.key": func(ctx context.Context, c *tailscale.Client, a arguments) (any, error) {
		return none(c.Devices().SetKey(ctx, a.ID, tailscale.DeviceKey{KeyExpiryDisabled: a.On}))
	},
	"devices.routes": func(ctx context.Context, c *tailscale.Client, a arguments) (any, error) {
		return c.Devices().SubnetRoutes(ctx, a.ID)
	},
	"devices.setRoutes": func(ctx context.Context, c *tailscale.Client, a arguments) (any, error) {
		return none(c.Devices().SetSubnetRoutes(ctx, a.ID, a.List))
	},
	"devices.attributes": func(ctx context.Context, c *tailscale.Client, a arguments) (any, error) {
		return c.Devices().GetPostureAttributes(ctx, a.ID)
	},
	"devices.setAttribute": func(ctx context.Context, c *tailscale.Client, a arguments) (any, error) {
		return none(c.Devices().SetPostureAttribute(ctx, a.ID, a.Key, tailscale.DevicePostureAttributeRequest{Value: a.Value}))
	},
	"devices.deleteAttribute": func(ctx context.Context, c *tailscale.Client, a arguments) (any, error) {
		return none(c.Devices().DeletePostureAttribute(ctx, a.ID, a.Key))
	},
	"devices.delete": func(ctx context.Context, c *tailscale.Client, a arguments) (any, error) {
		return none(c.Devices().Delete(ctx, a.ID))
	},
	"policy.get": func(ctx context.Context, c *tailscale.Client, _ arguments) (any, error) {
		acl, err := c.PolicyFile().Get(ctx)
		if err != nil {
			return nil, err
		}
		return map[string]any{"acl": acl, "etag": acl.ETag}, nil
	},
	"policy.raw": func(ctx context.Context, c *tailscale.Client, _ arguments) (any, error) {
		raw, err := c.PolicyFile().Raw(ctx)
		if err != nil {
			return nil, err
		}
		return map[string]any{"text": raw.HuJSON, "etag": raw.ETag}, nil
	},
	"policy.set": func(ctx context.Context, c *tailscale.Client, a arguments) (any, error) {
		if a.ACL != nil {
			set, err := c.PolicyFile().SetAndGet(ctx, *a.ACL, a.ETag)
			if err != nil {
				return nil, err
			}
			return map[string]any{"acl": set, "etag": set.ETag}, nil
		}
		return none(c.PolicyFile().Set(ctx, a.Text, a.ETag))
	},
	"policy.validate": func(ctx context.Context, c *tailscale.Client, a arguments) (any, error) {
		return none(c.PolicyFile().Validate(ctx, a.Text))
	},
	"dns.nameservers": func(ctx context.Context, c *tailscale.Client, _ arguments) (any, error) {
		return c.DNS().Nameservers(ctx)
	},
	"dns.setNameservers": func(ctx context.Context, c *tailscale.Client, a arguments) (any, error) {
		return none(c.DNS().SetNameservers(ctx, a.List))
	},
	"dns.searchPaths": func(ctx context.Context, c *tailscale.Client, _ arguments) (any, error) {
		return c.DNS().SearchPaths(ctx)
	},
	"dns.setSearchPaths": func(ctx context.Context, c *tailscale.Client, a arguments) (any, error) {
		return none(c.DNS().SetSearchPaths(ctx, a.List))
	},
	"dns.preferences": func(ctx context.Context, c *tailscale.Client, _ arguments) (any, error) {
		return c.DNS().Preferences(ctx)
	},
	"dns.setPreferences": func(ctx context.Context, c *tailscale.Client, a arguments) (any, error) {
		return none(c.DNS().SetPreferences(ctx, tailscale.DNSPreferences{MagicDNS: a.On}))
	},
	"dns.split": func(ctx context.Context, c *tailscale.Client, _ arguments) (any, error) {
		return c.DNS().SplitDNS(ctx)
	},
	"dns.setSplit": func(ctx context.Context, c *tailscale.Client, a arguments) (any, error) {
		return none(c.DNS().SetSplitDNS(ctx, a.Split))
	},
	"dns.updateSplit": func(ctx context.Context, c *tailscale.Client, a arguments) (any, error) {
		return c.DNS().UpdateSplitDNS(ctx, a.Split)
	},
	"dns.configuration": func(ctx context.Context, c *tailscale.Client, _ arguments) (any, error) {
		return c.DNS().Configuration(ctx)
	},
	"dns.configure": func(ctx context.Context, c *tailscale.Client, a arguments) (any, error) {
		return none(c.DNS().SetConfiguration(ctx, a.DNS))
	},
	"settings.get": func(ctx context.Context, c *tailscale.Client, _ arguments) (any, error) {
		return c.TailnetSettings().Get(ctx)
	},
	"settings.update": func(ctx context.Context, c *tailscale.Client, a arguments) (any, error) {
		return none(c.TailnetSettings().Update(ctx, a.Settings))
	},
	"users.list": func(ctx context.Context, c *tailscale.Client, _ arguments) (any, error) {
		return c.Users().List(ctx, nil, nil)
	},
	"users.get": func(ctx context.Context, c *tailscale.Client, a arguments) (any, error) {
		return c.Users().Get(ctx, a.ID)
	},
	"webhooks.create": func(ctx context.Context, c *tailscale.Client, a arguments) (any, error) {
		return c.Webhooks().Create(ctx, tailscale.CreateWebhookRequest{
			EndpointURL: a.URL, Subscriptions: subscriptions(a.List),
		})
	},
	"webhooks.list": func(ctx context.Context, c *tailscale.Client, _ arguments) (any, error) {
		return c.Webhooks().List(ctx)
	},
	"webhooks.get": func(ctx context.Context, c *tailscale.Client, a arguments) (any, error) {
		return c.Webhooks().Get(ctx, a.ID)
	},
	"webhooks.update": func(ctx context.Context, c *tailscale.Client, a arguments) (any, error) {
		return c.Webhooks().Update(ctx, a.ID, subscriptions(a.List))
	},
	"webhooks.rotate": func(ctx context.Context, c *tailscale.Client, a arguments) (any, error) {
		return c.Webhooks().RotateSecret(ctx, a.ID)
	},
	"webhooks.test": func(ctx context.Context, c *tailscale.Client, a arguments) (any, error) {
		return none(c.Webhooks().Test(ctx, a.ID))
	},
	"webhooks.delete": func(ctx context.Context, c *tailscale.Client, a arguments) (any, error) {
		return none(c.Webhooks().Delete(ctx, a.ID))
	},
}

func run(words []string) (any, error) {
	if len(words) < 4 || len(words) > 5 {
		return nil, errors.New("usage: api-client URL CREDENTIAL TAILNET CALL [ARGUMENTS]")
	}
	base, err := url.Parse(words[0])
	if err != nil {
		return nil, err
	}
	client := &tailscale.Client{BaseURL: base, Tailnet: words[2], HTTP: &http.Client{Timeout: 20 * time.Second}}
	if id, secret, isClient := strings.Cut(words[1], ":"); isClient {
		client.Auth = &tailscale.OAuth{ClientID: id, ClientSecret: secret}
	} else {
		client.APIKey = words[1]
	}
	var given arguments
	if len(words) == 5 {
		if err := json.Unmarshal([]byte(words[4]), &given); err != nil {
			return nil, err
		}
	}
	made, known := calls[words[3]]
	if !known {
		return nil, fmt.Errorf("there is no call %q", words[3])
	}
	return made(context.Background(), client, given)
}

func main() {
	answer := map[string]any{}
	result, err := run(os.Args[1:])
	var refused tailscale.APIError
	switch {
	case errors.As(err, &refused):
		answer["error"] = refused
	case err != nil:
		answer["error"] = map[string]any{"status": 0, "message": err.Error()}
	default:
		answer["result"] = result
	}
	if err := json.NewEncoder(os.Stdout).Encode(answer); err != nil {
		os.Exit(1)
	}
}
