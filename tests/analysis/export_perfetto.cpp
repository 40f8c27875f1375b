#include <doctest/doctest.h>

#include <algorithm>
#include <cstdio>
#include <fstream>
#include <map>
#include <protozero/pbf_message.hpp>
#include <sstream>
#include <vector>

#include "analysis/export/export.h"
#include "analysis/export/perfetto_fields.h"
#include "made_trace.h"

using namespace hvsim;
using namespace hvsim::analysis;

namespace {

std::string content(const std::filesystem::path& path) {
    std::ifstream file(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
}

std::string exported(const std::filesystem::path& trace, const std::string& name) {
    const auto out = made::scratch(name);
    export_trace({.trace = trace, .perfetto = out});
    return content(out);
}

/// The file as protoc reads it by our schema.
std::string decoded(const std::filesystem::path& file) {
    const std::string command = "protoc --proto_path=" HVSIM_SOURCE_DIR
                                "/analysis/export --decode=perfetto.protos.Trace "
                                "perfetto.proto < '" +
                                file.string() + "'";
    std::FILE* const pipe = popen(command.c_str(), "r");
    REQUIRE(pipe != nullptr);
    std::string text;
    char piece[4096];
    for (std::size_t size; (size = std::fread(piece, 1, sizeof piece, pipe)) != 0;)
        text.append(piece, size);
    REQUIRE(pclose(pipe) == 0);
    return text;
}

struct Event {
    std::uint64_t time = 0, track = 0;
    int type = 0;
    std::string name;
    std::vector<std::uint64_t> flows, last_flows;
    double counter = 0;
};

/// A file as a viewer takes it: names looked up, events in the order of their times.
struct Viewed {
    std::map<std::uint64_t, std::string> names;  // interned
    std::map<std::uint64_t, std::string> tracks;
    std::map<std::uint64_t, std::uint64_t> parents;
    std::vector<Event> events;

    explicit Viewed(const std::string& file) {
        using namespace perfetto;
        protozero::pbf_message<Trace> trace(file);
        while (trace.next(Trace::packet)) {
            protozero::pbf_message<TracePacket> packet(trace.get_message());
            std::uint64_t time = 0, flags = 0;
            while (packet.next()) {
                switch (packet.tag()) {
                    case TracePacket::timestamp:
                        time = packet.get_uint64();
                        break;
                    case TracePacket::sequence_flags:
                        flags = packet.get_uint32();
                        break;
                    case TracePacket::interned_data:
                        REQUIRE(flags == kSeqNeedsIncrementalState);
                        add_names(packet.get_message());
                        break;
                    case TracePacket::track_descriptor:
                        add_track(packet.get_message());
                        break;
                    case TracePacket::track_event:
                        add_event(packet.get_message(), time);
                        break;
                    default:
                        packet.skip();
                }
            }
        }
        std::stable_sort(events.begin(), events.end(),
                         [](const Event& a, const Event& b) { return a.time < b.time; });
    }

    void add_names(protozero::pbf_message<perfetto::InternedData> data) {
        while (data.next()) {
            protozero::pbf_message<perfetto::Interned> entry(data.get_message());
            std::uint64_t id = 0;
            std::string text;
            while (entry.next())
                if (entry.tag() == perfetto::Interned::iid)
                    id = entry.get_uint64();
                else
                    text = entry.get_string();
            names[id] = text;
        }
    }
    void add_track(protozero::pbf_message<perfetto::TrackDescriptor> track) {
        using perfetto::TrackDescriptor;
        std::uint64_t id = 0, parent = 0;
        std::string name;
        while (track.next()) {
            if (track.tag() == TrackDescriptor::uuid)
                id = track.get_uint64();
            else if (track.tag() == TrackDescriptor::parent_uuid)
                parent = track.get_uint64();
            else if (track.tag() == TrackDescriptor::name)
                name = track.get_string();
            else
                track.skip();
        }
        CHECK(!tracks.contains(id));
        CHECK((parent == 0 || tracks.contains(parent)));
        tracks[id] = name;
        parents[id] = parent;
    }
    void add_event(protozero::pbf_message<perfetto::TrackEvent> event, std::uint64_t time) {
        using perfetto::TrackEvent;
        Event& added = events.emplace_back();
        added.time = time;
        while (event.next()) {
            switch (event.tag()) {
                case TrackEvent::type:
                    added.type = event.get_enum();
                    break;
                case TrackEvent::track_uuid:
                    added.track = event.get_uint64();
                    CHECK(tracks.contains(added.track));
                    break;
                case TrackEvent::name_iid:
                    added.name = names.at(event.get_uint64());
                    break;
                case TrackEvent::name:
                    added.name = event.get_string();
                    break;
                case TrackEvent::flow_ids:
                    added.flows.push_back(event.get_fixed64());
                    break;
                case TrackEvent::terminating_flow_ids:
                    added.last_flows.push_back(event.get_fixed64());
                    break;
                case TrackEvent::counter_value:
                    added.counter = static_cast<double>(event.get_int64());
                    break;
                case TrackEvent::double_counter_value:
                    added.counter = event.get_double();
                    break;
                default:
                    event.skip();
            }
        }
    }

    std::string path(std::uint64_t track) const {
        const std::uint64_t parent = parents.at(track);
        return (parent == 0 ? "" : path(parent) + "/") + tracks.at(track);
    }
    /// What happened on the tracks of that path, as text.
    std::string on(const std::string& wanted) const {
        std::ostringstream text;
        for (const Event& event : events) {
            if (path(event.track) != wanted) continue;
            text << event.time;
            if (event.type == perfetto::kTypeSliceBegin) text << " [" << event.name;
            if (event.type == perfetto::kTypeSliceEnd) text << "]";
            if (event.type == perfetto::kTypeInstant) text << " !" << event.name;
            if (event.type == perfetto::kTypeCounter) text << " =" << event.counter;
            text << '\n';
        }
        return text.str();
    }
    /// Slices that carry a flow, in the order of their times.
    std::vector<std::string> flow(std::uint64_t id) const {
        std::vector<std::string> steps;
        for (const Event& event : events) {
            const auto has = [id](const auto& list) {
                return std::find(list.begin(), list.end(), id) != list.end();
            };
            if (has(event.flows)) steps.push_back(path(event.track) + ": " + event.name);
            if (has(event.last_flows))
                steps.push_back(path(event.track) + ": " + event.name + " (last)");
        }
        return steps;
    }
    /// Slices of each track are properly nested, and all are closed.
    void check_nesting() const {
        std::map<std::uint64_t, int> open;
        for (const Event& event : events) {
            if (event.type == perfetto::kTypeSliceBegin) ++open[event.track];
            if (event.type != perfetto::kTypeSliceEnd) continue;
            CHECK(--open[event.track] >= 0);
        }
        for (const auto& [track, count] : open) CHECK(count == 0);
    }
};

}  // namespace

TEST_CASE("protoc decodes an export by the schema, and knows every field in it") {
    const auto out = made::scratch("small.pftrace");
    export_trace({.trace = made::small("small.trace"), .perfetto = out});
    std::istringstream lines(decoded(out));
    unsigned packets = 0, events = 0, flows = 0;
    for (std::string line; std::getline(lines, line);) {
        const std::size_t first = line.find_first_not_of(' ');
        REQUIRE(first != line.npos);
        CAPTURE(line);
        CHECK(std::isdigit(static_cast<unsigned char>(line[first])) == 0);  // an unknown field
        packets += line == "packet {";
        events += line.find("type: TYPE_") != line.npos;
        flows += line.find("flow_ids: ") != line.npos;
    }
    CHECK(packets > 100);
    CHECK(events > 80);
    CHECK(flows > 10);
}

TEST_CASE("what is on the tracks") {
    const Viewed viewed(exported(made::small("tracks.trace"), "tracks.pftrace"));
    viewed.check_nesting();
    // Rounded down to nanoseconds.
    const std::string lp = viewed.on("Logical processors/LP 0");
    CAPTURE(lp);
    CHECK(lp.starts_with(
        "1 [p2 vp0\n1 [guest\n2]\n2 [io_instruction\n3]\n3 [guest\n10000]\n"
        "10000 [vmcall\n11000]\n11000]\n11000 [idle\n11100]\n11100 [switching\n11500]\n"
        "11500 [p1 vp0\n11500 [guest\n17600]\n17600 [vmcall\n18000]\n18000 [guest\n18200]\n"
        "18200 [hlt\n18400]\n18400]\n18400 [switching\n18500]\n18500 [switching\n19500]\n"
        "19500 [p2 vp0\n19500 [guest\n"));
    CHECK(viewed.on("Partition 2: linux/VP 0")
              .starts_with("2 [io_instruction: COM1.data\n3]\n10000 [vmcall: HvCallSignalEvent\n"
                           "17620 !synic_event\n19000 !interrupt_accepted\n19500]\n"));
    CHECK(viewed.on("Partition 1: root/VP 0").find("17600 [vmcall: HvCallSignalEvent\n18000]\n") !=
          std::string::npos);
    CHECK(viewed.on("Partition 2: linux/Channel 1")
              .starts_with("10000 [READ(10)\n10000 [hypercall\n12000]\n12000 [in the ring\n12200]\n"
                           "12200 [provider\n12400]\n12400 [disk controller\n15000]\n"
                           "15000 [DMA\n16000]\n16000 [interrupt\n16500]\n"
                           "16500 [completion\n17500]\n17500 [signal\n17800]\n"
                           "17800 [guest interrupt\n19000]\n19000]\n"));
    CHECK(viewed.on("Board/Disk controller")
              .starts_with("12400 [Read\n12400 [disk controller\n15000]\n15000 [DMA\n16000]\n"
                           "16000 [interrupt\n16500]\n16500]\n"));
    CHECK(viewed.on("Partition 2: linux/Channel 1 queue depth") ==
          "12200 =1\n17500 =0\n32200 =1\n37500 =0\n");
    CHECK(viewed.on("Board/Disk controller queue depth") ==
          "12400 =1\n16000 =0\n32400 =1\n36000 =0\n");
    // 1,000,000 instructions in 50 us; 1000 of them needed a walk.
    CHECK(viewed.on("Partition 2: linux/VP 0 instructions") == "0 =2e+10\n");
    CHECK(viewed.on("Partition 2: linux/VP 0 TLB hit rate") == "0 =99.9\n");
    CHECK(viewed.on("Board/IOTLB hit rate") == "0 =50\n");
    CHECK(viewed.on("Partition 2: linux/Console") == "4 !Linux \"says\" <\xef\xbf\xbd>, hello\n");
    CHECK(viewed.on("Board/Events").starts_with("16500 !interrupt\n"));
}

TEST_CASE("the flow of a request goes through everything that worked for it") {
    const Viewed viewed(exported(made::small("flow.trace"), "flow.pftrace"));
    // Signals are numbered; the guest's is the first, the root's answer the second.
    const std::vector<std::string> request{
        "Partition 2: linux/VP 0: vmcall: HvCallSignalEvent",
        "Partition 2: linux/Channel 1: provider",
        "Board/Disk controller: disk controller",
        "Board/Disk controller: DMA",
        "Board/Disk controller: interrupt",
        "Partition 2: linux/Channel 1: completion (last)",
    };
    CHECK(viewed.flow(2) == request);
    const std::vector<std::string> answer{
        "Partition 1: root/VP 0: vmcall: HvCallSignalEvent",
        "Partition 2: linux/Channel 1: guest interrupt",
        "Partition 2: linux/VP 0: interrupt_accepted (last)",
    };
    CHECK(viewed.flow(4) == answer);
    CHECK(viewed.flow(6) == request);
    CHECK(viewed.flow(8) == answer);
}

TEST_CASE("requests that overlap stand on tracks of their own") {
    using sim::EventKind;
    const auto path = made::scratch("overlap.trace");
    {
        made::Maker made(path);
        for (std::uint64_t i = 0; i < 3; ++i)
            made.event(1000 * i + 10'000, EventKind::kVmbusPacket, made::kChannel, 1, i, 100, 0);
        for (std::uint64_t i = 0; i < 3; ++i)  // the last one taken is answered first
            made.event(1000 * i + 20'000, EventKind::kVmbusPacket, made::kChannel, 1, 2 - i, 100,
                       1);
        made.event(50'000, EventKind::kVmbusPacket, made::kChannel, 1, 9, 100, 0);
        made.event(60'000, EventKind::kVmbusPacket, made::kChannel, 1, 9, 100, 1);
        made.finish();
    }
    const Viewed viewed(exported(path, "overlap.pftrace"));
    viewed.check_nesting();
    std::map<std::uint64_t, unsigned> packets;  // by track
    for (const Event& event : viewed.events)
        if (event.name == "packet") ++packets[event.track];
    REQUIRE(packets.size() == 3);
    CHECK(packets.begin()->second == 2);
    for (const auto& [track, count] : packets)
        CHECK(viewed.path(track) == "Partition 2: linux/Channel 1");
}

TEST_CASE("slices nest whatever a trace says") {
    using sim::EventKind;
    const auto path = made::scratch("wild.trace");
    {
        made::Maker made(path);
        std::uint64_t random = 1;
        const auto next = [&random](std::uint64_t below) {
            random = random * 6364136223846793005u + 1442695040888963407u;
            return (random >> 33) % below;
        };
        sim::Time time = 1'000'000;
        for (unsigned i = 0; i < 20'000; ++i) {
            time += next(2000);
            const sim::Subject subject{static_cast<std::uint16_t>(next(3)),
                                       static_cast<std::uint16_t>(next(3)),
                                       static_cast<std::uint16_t>(next(2))};
            made.event(time - next(10'000),
                       static_cast<EventKind>(next(static_cast<std::uint64_t>(EventKind::kCount))),
                       subject, next(3), next(4), next(5), next(2));
        }
        made.finish();
    }
    Viewed(exported(path, "wild.pftrace")).check_nesting();
}
