// What puts views onto the screen.

import Foundation

@MainActor open class UIViewController: UIResponder {
    open var view: UIView! {
        get {
            loadViewIfNeeded()
            return loaded
        }
        set { loaded = newValue }
    }
    open var overrideUserInterfaceStyle = UIUserInterfaceStyle.unspecified
    open var traitCollection = UITraitCollection(verticalSizeClass: .regular)
    private var loaded: UIView?

    public init(nibName nibNameOrNil: String?, bundle nibBundleOrNil: Bundle?) {}

    public required init?(coder: NSCoder) {}

    public convenience override init() {
        self.init(nibName: nil, bundle: nil)
    }

    open func loadView() {
        view = UIView()
    }

    open func loadViewIfNeeded() {
        guard loaded == nil else { return }
        loadView()
        viewDidLoad()
    }

    open func viewDidLoad() {}
    open func viewWillAppear(_ animated: Bool) {}
    open func viewWillDisappear(_ animated: Bool) {}
    open func viewWillLayoutSubviews() {}
    open func addChild(_ childController: UIViewController) {}
    open func didMove(toParent parent: UIViewController?) {}
    open var extensionContext: NSExtensionContext? { nil }
}

@MainActor open class UIApplication: UIResponder {
    public static let openSettingsURLString = "app-settings:"
}
