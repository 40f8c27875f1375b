#pragma once
// The worker process of one virtual machine: creates its partition through WinHv, writes kernel and
// tables into its memory, emulates its ports, and answers its intercepts.
#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "apic/io_apic.h"
#include "devices/acpi_pm.h"
#include "devices/firmware/boot_image.h"
#include "devices/rtc.h"
#include "devices/testing/test_board.h"
#include "devices/uart16550.h"
#include "hypervisor-model/stack/root_partition.h"
#include "hypervisor-model/stack/synic_test.h"
#include "hypervisor-model/virtual_processor.h"

namespace hvsim::hv::stack {

struct VmDescription {
    std::string name;
    std::uint32_t processors = 1;
    std::uint64_t ram = 0;  ///< bytes
    devices::firmware::BootImage boot;
    std::vector<devices::TestDeviceKind> test_devices;
    sim::SourceLocation where;
    std::int64_t date = 0;  ///< RTC at virtual time 0, seconds since 1970
};

/// How a virtual machine ended.
enum class VmEnd : std::uint8_t { running, poweroff, reset, triple_fault, exit };

/// What the worker needs besides hypercalls.
class WorkerServices {
  public:
    virtual ~WorkerServices() = default;
    /// Accesses of the child to an unmapped device page are served by `handler`.
    virtual void add_device_page(PartitionId partition, std::uint64_t gpa,
                                 cpu::engine::MmioHandler& handler) = 0;
    /// So are reads and writes where the child has neither memory nor a device page.
    virtual void set_open_bus(PartitionId partition, cpu::engine::MmioHandler& handler) = 0;
    /// The partition exists and its memory is filled; its processors start when this returns.
    virtual void vm_starting(RootVp& vp, PartitionId partition) = 0;
    /// `exit_code`: with VmEnd::exit.
    virtual void vm_ended(VmEnd end, sim::Time now, const std::string& detail,
                          std::optional<std::uint32_t> exit_code) = 0;
    /// Makes root virtual processor 0 look for work soon.
    virtual void notify_root(sim::Time now) = 0;
};

class WorkerProcess final : public PartitionClient,
                            private devices::PowerControl,
                            private devices::ExitControl,
                            private apic::MsiSink,
                            private cpu::engine::MmioHandler {
  public:
    WorkerProcess(RootPartition& root, WorkerServices& services, VmDescription description,
                  devices::CharacterSink& console, sim::Recorder& recorder);
    ~WorkerProcess() override;

    PartitionId partition() const noexcept { return partition_; }
    const VmDescription& description() const noexcept { return description_; }
    VmEnd end() const noexcept { return end_; }

    /// Root physical address of a guest page that is RAM; nullopt: no memory there.
    std::optional<std::uint64_t> root_address(std::uint64_t gpa, std::uint64_t length) const;
    std::uint64_t memory_base() const noexcept { return memory_base_; }
    /// Characters typed at the guest's serial port; they arrive at the next work step.
    void type(std::uint8_t byte) { typed_.push_back(byte); }
    /// Deadline of the emulated devices.
    sim::Time next_deadline() const;

    void on_intercept(RootVp& vp, const MessageSlot& message) override;
    bool on_work(RootVp& vp) override;
    const SynicTest& synic_test() const noexcept { return synic_test_; }

  private:
    struct PortRange {
        std::uint16_t first, last;
        devices::RegisterDevice* device;
        std::uint16_t base;  ///< port of the device's offset 0
    };
    class Pin;
    class StringIo;
    class Window;
    class OpenBus;

    void add_test_devices();
    void create(RootVp& vp);
    void load(RootVp& vp);
    void start_processors(RootVp& vp, const devices::firmware::StartState& state);
    void io_intercept(RootVp& vp, const MessageSlot& message);
    void string_io(RootVp& vp, const IoPortIntercept& intercept);
    void memory_intercept(RootVp& vp, const MessageSlot& message);
    void resume(RootVp& vp, VpIndex target, std::uint64_t rip, std::optional<std::uint64_t> rax);
    std::uint32_t read_port(std::uint16_t port, unsigned size, sim::Time& now);
    void write_port(std::uint16_t port, unsigned size, std::uint32_t value, sim::Time now);
    void finish(VmEnd end, sim::Time now, const std::string& detail,
                std::optional<std::uint32_t> exit_code = std::nullopt);
    void deliver_interrupts(RootVp& vp);

    // devices::PowerControl, devices::ExitControl, apic::MsiSink, cpu::engine::MmioHandler (the I/O
    // APIC's page)
    void sleep(unsigned sleep_type, sim::Time now) override;
    void reset(sim::Time now) override;
    void exit(std::uint32_t code, sim::Time now) override;
    void write_msi(apic::MsiMessage message, apic::InterruptSource source, sim::Time now) override;
    std::uint64_t mmio_read(std::uint64_t physical, unsigned size) override;
    void mmio_write(std::uint64_t physical, unsigned size, std::uint64_t value) override;

    RootPartition& root_;
    WorkerServices& services_;
    VmDescription description_;
    devices::firmware::MemoryPlan plan_;
    std::uint64_t memory_base_ = 0;
    PartitionId partition_ = kInvalidPartition;
    bool created_ = false;
    VmEnd end_ = VmEnd::running;

    apic::IoApic io_apic_;
    std::unique_ptr<Pin> uart_pin_, rtc_pin_, sci_pin_;
    devices::Uart16550 uart_;
    devices::Rtc rtc_;
    devices::AcpiPm acpi_pm_;
    devices::ResetRegister reset_register_;
    SynicTest synic_test_;
    std::vector<devices::TestPart> test_parts_;
    std::vector<std::unique_ptr<Pin>> test_pins_;
    std::vector<std::unique_ptr<Window>> windows_;
    std::unique_ptr<OpenBus> open_bus_;
    std::vector<PortRange> ports_;
    std::deque<apic::InterruptMessage> interrupts_;
    std::deque<std::uint8_t> typed_;
};

}  // namespace hvsim::hv::stack
