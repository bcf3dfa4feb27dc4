// Models, word lists, emoji lists and snapshots out of an app's package: an asset is mapped where it lies, and not copied.
package dev.nibble.android

import android.content.res.AssetFileDescriptor
import android.content.res.AssetManager
import dev.nibble.EmojiList
import dev.nibble.Lexicon
import dev.nibble.MemoryPlan
import dev.nibble.Model
import dev.nibble.ModelOptions
import dev.nibble.Nibble
import dev.nibble.NibbleException
import dev.nibble.Session
import dev.nibble.SessionOptions
import java.io.Closeable
import java.io.FileNotFoundException
import java.io.IOException
import kotlinx.coroutines.Dispatchers
import kotlinx.coroutines.withContext

/**
 * Opens the packed model that is the asset [name] of the app or of an install-time asset pack. It is mapped from the package, and
 * takes no other storage. It has to lie there uncompressed:
 *
 *     android { androidResources { noCompress += "nibble" } }
 *
 * @throws NibbleException.InvalidArgument if it is compressed.
 * @throws NibbleException.ModelNotFound if there is no such asset. Besides, what opening a path throws.
 */
public suspend fun Nibble.openAsset(
    assets: AssetManager,
    name: String,
    options: ModelOptions = ModelOptions(),
): Model = withContext(Dispatchers.IO) { descriptor(name, assets::openFd, assets::open) }.use { open(it, options) }

/**
 * Opens the packed model behind [asset], such as `context.assets.openFd` and `ContentResolver.openAssetFileDescriptor` return. It is
 * mapped from there, and not copied. [asset] stays the caller's, who may close it when this has returned.
 *
 * @throws NibbleException.InvalidArgument if the length is unknown, as that of a pipe is. Besides, what opening a path throws.
 */
public suspend fun Nibble.open(asset: AssetFileDescriptor, options: ModelOptions = ModelOptions()): Model =
    open(asset.parcelFileDescriptor.fd, asset.startOffset, asset.knownLength(), options)

/** What the packed model behind [asset] would take, before it is opened; throws what [open] does. */
public suspend fun Nibble.memoryPlan(asset: AssetFileDescriptor, options: SessionOptions = SessionOptions()): MemoryPlan =
    memoryPlan(asset.parcelFileDescriptor.fd, asset.startOffset, asset.knownLength(), options)

/**
 * Opens the word list that is the asset [name], as [openAsset] does a model: `noCompress += "fst"`.
 *
 * @throws NibbleException.InvalidArgument if it is compressed.
 * @throws NibbleException.LexiconUnfit if there is no such asset. Besides, what opening a path throws.
 */
public suspend fun Nibble.openLexiconAsset(assets: AssetManager, name: String): Lexicon =
    withContext(Dispatchers.IO) { descriptor(name, assets::openFd, assets::open, NibbleException::LexiconUnfit) }
        .use { openLexicon(it) }

/** Opens the word list behind [asset], as [open] does a model. */
public suspend fun Nibble.openLexicon(asset: AssetFileDescriptor): Lexicon =
    openLexicon(asset.parcelFileDescriptor.fd, asset.startOffset, asset.knownLength())

/** Opens the emoji list that is the asset [name], as [openLexiconAsset] does a word list, and throws what that does. */
public suspend fun Nibble.openEmojiAsset(assets: AssetManager, name: String): EmojiList =
    withContext(Dispatchers.IO) { descriptor(name, assets::openFd, assets::open, NibbleException::LexiconUnfit) }
        .use { openEmoji(it) }

/** Opens the emoji list behind [asset], as [open] does a model. */
public suspend fun Nibble.openEmoji(asset: AssetFileDescriptor): EmojiList =
    openEmoji(asset.parcelFileDescriptor.fd, asset.startOffset, asset.knownLength())

/**
 * Takes up the snapshot that is the asset [name], so that a long system prompt is computed before the app is shipped, and on no phone:
 * `noCompress += "snapshot"`. It has to be of the same model, by [Session.saveSnapshot]. Returns the number of tokens.
 *
 * @throws NibbleException.InvalidArgument if it is compressed.
 * @throws NibbleException.ModelNotFound if there is no such asset. Besides, what restoring from a path throws.
 */
public suspend fun Session.restoreSnapshotAsset(assets: AssetManager, name: String): Int =
    withContext(Dispatchers.IO) { descriptor(name, assets::openFd, assets::open) }.use { restoreSnapshot(it) }

/** Takes up the snapshot behind [asset], as [open] does a model. */
public suspend fun Session.restoreSnapshot(asset: AssetFileDescriptor): Int =
    restoreSnapshot(asset.parcelFileDescriptor.fd, asset.startOffset, asset.knownLength())

private fun AssetFileDescriptor.knownLength(): Long {
    val declared = declaredLength
    // The length of a pipe is negative.
    val length = if (declared == AssetFileDescriptor.UNKNOWN_LENGTH) parcelFileDescriptor.statSize - startOffset else declared
    if (length < 0) {
        throw NibbleException.InvalidArgument("the asset has no known length, so it cannot be mapped; copy it to a file and open that")
    }
    return length
}

/** What Android says of an asset that is compressed is what it says of one that is not there. */
internal fun <D> descriptor(
    name: String,
    descriptor: (String) -> D,
    stream: (String) -> Closeable,
    missing: (String) -> NibbleException = NibbleException::ModelNotFound,
): D = try {
    descriptor(name)
} catch (_: FileNotFoundException) {
    try {
        stream(name).close()
    } catch (_: IOException) {
        throw missing("there is no asset $name in the package; put it into src/main/assets")
    }
    throw NibbleException.InvalidArgument(
        "the asset $name is compressed, so it cannot be mapped; have it stored as it is: " +
            "android { androidResources { noCompress += \"${name.substringAfterLast('.')}\" } }",
    )
}
