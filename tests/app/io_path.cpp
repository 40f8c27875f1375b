// A whole host without virtual machines: hypervisor, IOMMU, disk controller and the root
// partition's storage stack, with a guest's driver made of plain memory in front. One simulation in
// a process, so one test case.
#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "app/machine/board.h"
#include "app/machine/hv_machine.h"
#include "app/scenario/reader.h"
#include "tests/vmbus-model/fake_disk.h"

using namespace hvsim;
using namespace hvsim::app;

// libsystemc's entry point; the program's stands with run_machine(), which is not in this one.
int sc_main(int, char**) {
    return 0;
}

namespace {

using sim::EventKind;
using vmbus::test::Bytes;
using vmbus::test::FakeGuest;
using vmbus::test::FakePlatform;
using vmbus::test::FakeStorageDriver;

Scenario scenario() {
    ReadOptions options;
    options.check_files = false;
    options.profile_folders = {std::filesystem::path(HVSIM_SOURCE_DIR) / "scenarios" / "profiles"};
    Scenario s = parse_scenario(
        "[host]\nvendor = \"intel\"\nprocessors = 1\nram = \"1 GiB\"\n[hypervisor]\n"
        "[[vm]]\nname = \"a\"\nkernel = \"vmlinuz\"\n[expect]\ndeadline = \"10 s\"\n",
        "test.toml", options);
    s.vms.clear();  // the guest is this test
    return s;
}

struct Keep final : sim::EventSink {
    std::vector<sim::Event> events;
    void on_event(const sim::Event& event) override { events.push_back(event); }
    /// The events of a kind whose first argument is `first`, if that is given.
    std::vector<sim::Event> of(EventKind kind, std::optional<std::uint64_t> first = {}) const {
        std::vector<sim::Event> found;
        for (const sim::Event& event : events)
            if (event.kind == kind && (!first || event.arguments[0] == *first))
                found.push_back(event);
        return found;
    }
};

/// What VMBus works costs the root's core.
class CoreCosts final : public vmbus::CostSink {
  public:
    explicit CoreCosts(cpu::NativeCore& core) : core_(core) {}
    void charge(sim::Duration cost) override { core_.charge(cost); }
    sim::Time now() const override { return core_.now(); }

  private:
    cpu::NativeCore& core_;
};

/// The guest and its storage provider, as work of root virtual processor 0: one SCSI command after
/// the other, each into the root page that it names.
class Guest final : public hv::stack::PartitionClient {
  public:
    struct Command {
        Bytes cdb;
        std::uint64_t page;  ///< system page number of the data buffer
    };
    Guest(HvMachine& machine, sim::Recorder& recorder, std::vector<Command> commands)
        : machine_(machine),
          costs_(machine.host().root_core(0)),
          environment_{platform_.memory,
                       platform_.port,
                       platform_.ports,
                       costs_,
                       &recorder,
                       {100, 10, 1000, 20, 5},
                       2,
                       0},
          commands_(std::move(commands)),
          disk_(machine.storage(), 1, false,
                [this](std::uint64_t gpa, std::uint64_t) -> std::optional<std::uint64_t> {
                    return (page_ << sim::kPageShift) + gpa % sim::kPageSize;
                }),
          server_(environment_, {}),
          guest_(platform_, server_),
          provider_(0, environment_, server_, storage_config()) {
        machine.root().add_client(*this);
    }
    void on_intercept(hv::stack::RootVp&, const hv::MessageSlot&) override {}
    bool on_work(hv::stack::RootVp&) override {
        if (!machine_.storage().ready()) return false;
        if (!driver_) {
            start();
        } else if (const auto answer = driver_->answer(driver_->last_id)) {
            answers.push_back(*answer);
        } else {
            return false;
        }
        if (answers.size() == commands_.size()) return false;
        const Command& command = commands_[answers.size()];
        page_ = command.page;
        driver_->scsi(++driver_->last_id, command.cdb, 4096);
        guest_.run_to_rest();
        return true;
    }
    std::vector<vmbus::storvsp::spec::ScsiRequest> answers;

  private:
    static vmbus::storvsp::StorVspConfig storage_config() {
        vmbus::storvsp::StorVspConfig config;
        config.instance.bytes[0] = 1;
        return config;
    }
    void start() {
        provider_.add_lun(0, {0, 0, 0}, disk_, {});
        REQUIRE(guest_.connect(vmbus::spec::Version::v5_3));
        REQUIRE(guest_.request_offers());
        driver_.emplace(platform_, guest_, 1, 16, 50);
        REQUIRE(driver_->opened);
        guest_.run_to_rest();
        REQUIRE(driver_->initialize());
    }

    HvMachine& machine_;
    FakePlatform platform_;
    CoreCosts costs_;
    vmbus::Environment environment_;
    std::vector<Command> commands_;
    std::uint64_t page_ = 0;
    VmDisk disk_;
    vmbus::VmbusServer server_;
    FakeGuest guest_;
    vmbus::storvsp::StorVsp provider_;
    std::optional<FakeStorageDriver> driver_;
};

std::map<std::string, std::uint64_t> statistics_of(const HvMachine& machine) {
    RunOutcome outcome;
    machine.collect(outcome);
    std::map<std::string, std::uint64_t> values;
    for (const analysis::Statistic& statistic : outcome.statistics)
        values[statistic.name] = statistic.value;
    return values;
}

const Bytes kRead8{0x28, 0, 0, 0, 0, 0, 0, 0, 8, 0};
const Bytes kWrite8{0x2a, 0, 0, 0, 0, 0, 0, 0, 8, 0};

}  // namespace

TEST_CASE("a refused page is a fault with an interrupt, an event, a counter and sense data") {
    const Scenario s = scenario();
    RunOptions options;
    Keep keep;
    options.sink = &keep;
    sc_core::sc_report_handler::set_actions(sc_core::SC_INFO, sc_core::SC_DO_NOTHING);
    sc_core::sc_set_time_resolution(1, sc_core::SC_PS);
    Board board(s, options);
    HvMachine machine(board);
    // The first of the hypervisor's own pages: no memory of the root's.
    const std::uint64_t foreign = machine.host().hypervisor().config().first_reserved_page;
    constexpr std::uint64_t kOwn = 0x800;
    Guest guest(machine, board.recorder,
                {{kRead8, foreign}, {kRead8, kOwn}, {kWrite8, foreign}, {kWrite8, kOwn}});
    std::array<std::uint8_t, 16> before{}, after{};
    REQUIRE(board.ram.read_bytes(foreign << sim::kPageShift, before));
    CHECK(board.dispatcher.run() == DispatchEnd::nothing_left);
    REQUIRE(board.ram.read_bytes(foreign << sim::kPageShift, after));

    // The guest: CHECK CONDITION with HARDWARE ERROR, internal target failure, and it goes on.
    REQUIRE(guest.answers.size() == 4);
    for (std::size_t i = 0; i < 4; ++i) {
        INFO(i);
        const auto& answer = guest.answers[i];
        const bool refused = i % 2 == 0;
        CHECK(answer.srb_status == (refused ? 0x84 : 1));
        CHECK(answer.scsi_status == (refused ? 2 : 0));
        CHECK(answer.data_transfer_length == (refused ? 0 : 4096));
        if (!refused) continue;
        CHECK((answer.cdb[2] & 0xf) == 4);
        CHECK(answer.cdb[12] == 0x44);
    }
    CHECK(before == after);

    // The unit found each, reported each by a message of its own, and the hypervisor took each.
    const auto dma = keep.of(EventKind::kDmaFault);
    const auto messages = keep.of(EventKind::kInterrupt, hv::kIommuFaultVector);
    const auto accepted = keep.of(EventKind::kInterruptAccepted, hv::kIommuFaultVector);
    const auto faults = keep.of(EventKind::kIommuFault);
    const sim::TimingProfile& timing = s.timing;
    REQUIRE(dma.size() == 2);
    REQUIRE(messages.size() == 2);
    REQUIRE(accepted.size() == 2);
    REQUIRE(faults.size() == 2);
    for (std::size_t i = 0; i < 2; ++i) {
        INFO(i);
        CHECK(dma[i].arguments[0] == kNvmeRequester);
        CHECK(messages[i].arguments[1] == 0);  // the unit's own requester id
        CHECK(messages[i].time == dma[i].time + timing.interrupt_msi);
        CHECK(accepted[i].time >= messages[i].time);
        CHECK(accepted[i].subject.lp == 0);
        // FSTS, the record's two halves and its end cost register accesses.
        CHECK(faults[i].time >= accepted[i].time + 4 * timing.device_mmio);
        CHECK(faults[i].subject.lp == 0);
        const auto request = i == 0 ? hv::IommuRequest::write : hv::IommuRequest::read;
        CHECK(faults[i].arguments ==
              std::array<std::uint64_t, 4>{kNvmeRequester, foreign << sim::kPageShift,
                                           i == 0 ? 5u : 6u, static_cast<std::uint64_t>(request)});
    }
    auto statistics = statistics_of(machine);
    CHECK(statistics.at("iommu.dma_faults") == 2);
    CHECK(statistics.at("iommu_manager.fault_interrupts") == 2);
    CHECK(statistics.at("iommu_manager.faults") == 2);
    CHECK(statistics.at("iommu_manager.fault_overflows") == 0);
    CHECK(statistics.at("nvme.errors") == 2);
    CHECK(statistics.at("root.nvme.stops") == 0);
    CHECK(board.iommu->read_register(0x34, 4) == 0);  // FSTS: nothing is pending

    // The disk's interrupts: not before their entries, with the way's time, and each cause first.
    const auto done = keep.of(EventKind::kDiskComplete);
    const auto disk_vector = hv::kFirstDeviceVector;
    const auto arrived = keep.of(EventKind::kInterrupt, disk_vector);
    const auto taken = keep.of(EventKind::kInterruptAccepted, disk_vector);
    const auto ended = keep.of(EventKind::kScsiComplete);
    REQUIRE(done.size() == 4);
    REQUIRE(arrived.size() == 4);
    REQUIRE(taken.size() == 4);
    REQUIRE(ended.size() >= 4);
    for (std::size_t i = 0; i < 4; ++i) {
        INFO(i);
        // The entry's DMA, then the message through remapping to the local APIC.
        CHECK(arrived[i].time >= done[i].time + timing.memory_dma_page + timing.interrupt_remap +
                                     timing.interrupt_msi);
        CHECK(taken[i].time >= arrived[i].time);
        // A processor that waits takes it at once: at most its handler's cost later. (With a fault
        // it reads the fault records just then.)
        if (i % 2 == 1)
            CHECK(taken[i].time <= arrived[i].time + timing.hypervisor_interrupt +
                                       timing.exit_external_interrupt + sim::kMicrosecond);
        CHECK(ended[ended.size() - 4 + i].time > taken[i].time);
    }
    // Each command's events in the order of their causes.
    const auto begun = keep.of(EventKind::kScsiRequest);
    const auto asked = keep.of(EventKind::kDiskRequest);
    REQUIRE(begun.size() == ended.size());
    REQUIRE(asked.size() == 4);
    for (std::size_t i = 0; i < 4; ++i) {
        CHECK(begun[begun.size() - 4 + i].time < asked[i].time);
        CHECK(asked[i].time < done[i].time);
    }
    // The driver names the request of each command; what its DMA takes ends with its completion.
    const auto issued = keep.of(EventKind::kDiskIssue);
    const auto moved = keep.of(EventKind::kDiskTransfer);
    REQUIRE(issued.size() == 4);
    REQUIRE(moved.size() == 4);
    for (std::size_t i = 0; i < 4; ++i) {
        CHECK(issued[i].subject.partition == begun[begun.size() - 4 + i].subject.partition);
        CHECK(issued[i].arguments[0] == begun[begun.size() - 4 + i].arguments[0]);
        CHECK(issued[i].arguments[1] == asked[i].arguments[0]);
        CHECK(issued[i].time >= begun[begun.size() - 4 + i].time);
        CHECK(issued[i].time <= asked[i].time);
        CHECK(moved[i].arguments[0] == asked[i].arguments[0]);
        CHECK(moved[i].arguments[1] == 4096);
        CHECK(moved[i].time > asked[i].time);
        CHECK(moved[i].time + moved[i].arguments[2] == done[i].time);
    }
}
